#include "server/jobs/confine.h"

#include <link.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "depickle/os/landlock.h"
#include "depickle/os/scratch_file.h"

namespace depickle::server::jobs {
namespace {

namespace fs = std::filesystem;

#ifdef __SANITIZE_ADDRESS__
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

// libcurl, the modules of the resolver (NSS) and the libraries of the sandboxed processes are loaded later.
constexpr const char* kLibraries[] = {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"};

constexpr const char* kSystemFiles[] = {
    // the dynamic loader
    "/etc/ld.so.cache", "/etc/ld.so.preload",
    // certificates of authorities, and the settings of the TLS libraries
    "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem", "/etc/pki/tls/openssl.cnf", "/etc/pki/ca-trust", "/etc/ca-certificates",
    "/etc/crypto-policies", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
    // the resolver
    "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf", "/etc/nsswitch.conf", "/etc/services",
    "/etc/protocols", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager",
    // locale and time
    "/usr/share/locale", "/usr/share/zoneinfo", "/etc/localtime", "/dev/urandom", "/dev/random"};

/// Returns the folders of the libraries that this program has loaded: it may be installed anywhere.
std::vector<fs::path> loaded_library_folders() {
  std::vector<fs::path> folders;
  ::dl_iterate_phdr(
      [](dl_phdr_info* library, size_t, void* out) {
        const fs::path path = library->dlpi_name;
        if (path.is_absolute()) static_cast<std::vector<fs::path>*>(out)->push_back(path.parent_path());
        return 0;
      },
      &folders);
  return folders;
}

void add_variable(std::vector<fs::path>& paths, const char* name) {
  const char* value = std::getenv(name);
  std::string_view list = value ? value : "";
  while (!list.empty()) {
    const size_t length = std::min(list.find(':'), list.size());
    if (list.front() == '/') paths.emplace_back(list.substr(0, length));
    list.remove_prefix(std::min(length + 1, list.size()));
  }
}

os::FileRights rights_of(const Confinement& confinement) {
  os::FileRights rights{.write = {confinement.folder, "/dev/null"}, .write_and_link = {confinement.cache}};
  rights.read.assign(std::begin(kSystemFiles), std::end(kSystemFiles));
  for (const char* variable : {"SSL_CERT_FILE", "SSL_CERT_DIR"}) add_variable(rights.read, variable);
  rights.execute.assign(std::begin(kLibraries), std::end(kLibraries));
  for (fs::path& folder : loaded_library_folders()) rights.execute.push_back(std::move(folder));
  add_variable(rights.execute, "LD_LIBRARY_PATH");
  rights.execute.emplace_back("/proc/self/exe");
  if (!confinement.sandbox.empty()) {  // a program of a test, perhaps a script that runs another one
    std::error_code unknown;
    rights.execute.push_back(confinement.sandbox.parent_path());
    rights.execute.push_back(fs::read_symlink("/proc/self/exe", unknown).parent_path());
    for (const char* folder : {"/bin", "/usr/bin"}) rights.execute.emplace_back(folder);
  }
  if (kIsSanitized) rights.read.emplace_back("/proc");  // AddressSanitizer reads /proc/self/maps at its start
  return rights;
}

void set_limit(__rlimit_resource resource, uint64_t max) {
  const rlimit both{max, max};
  ::setrlimit(resource, &both);
}

}  // namespace

void confine(const Confinement& confinement) {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0);
  set_limit(RLIMIT_CORE, 0);
  // Mapped files do not count. A sanitizer's shadow memory is larger than any limit.
  if (!kIsSanitized && confinement.memory_bytes > 0) set_limit(RLIMIT_DATA, confinement.memory_bytes);
  os::set_scratch_folder(confinement.folder);
  os::restrict_files(rights_of(confinement));
}

}  // namespace depickle::server::jobs
