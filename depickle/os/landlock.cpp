#include "depickle/os/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "depickle/base/error.h"
#include "depickle/os/file_descriptor.h"

namespace depickle::os {
namespace {

constexpr int kMinVersion = 2;

// Names that the headers of older kernels do not have.
constexpr uint64_t kRefer = uint64_t{1} << 13;                                                // version 2
constexpr uint64_t kTruncate = uint64_t{1} << 14;                                             // version 3
constexpr uint64_t kIoctlDevice = uint64_t{1} << 15;                                          // version 5
constexpr uint64_t kBindTcp = uint64_t{1} << 0;                                               // version 4
constexpr uint64_t kAbstractSocketScope = uint64_t{1} << 0, kSignalScope = uint64_t{1} << 1;  // version 6

// landlock_ruleset_attr of version 6. Older kernels accept it if the members that they do not know are 0.
struct RulesetAttributes {
  uint64_t files = 0, network = 0, scope = 0;
};

constexpr uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kExecute = kRead | LANDLOCK_ACCESS_FS_EXECUTE;
constexpr uint64_t kWrite = kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                            LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                            kRefer | kTruncate;
constexpr uint64_t kWriteAndLink = kWrite | LANDLOCK_ACCESS_FS_MAKE_SYM;
// The rights that a file can have; others are of folders.
constexpr uint64_t kOfFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                              LANDLOCK_ACCESS_FS_READ_FILE | kTruncate | kIoctlDevice;

RulesetAttributes attributes(int version) {
  RulesetAttributes handled{.files = (uint64_t{1} << 14) - 1};  // all of version 2
  if (version >= 3) handled.files |= kTruncate;
  if (version >= 4) handled.network = kBindTcp;
  if (version >= 5) handled.files |= kIoctlDevice;
  if (version >= 6) handled.scope = kAbstractSocketScope | kSignalScope;
  return handled;
}

void check(long result, const char* what, const std::filesystem::path& path) {
  if (result < 0) throw system_error(errno, what, path.string());
}

void add_rule(int ruleset, const std::filesystem::path& path, uint64_t rights) {
  const FileDescriptor file(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!file) return;
  struct stat status{};
  check(::fstat(file.get(), &status), "cannot stat", path);
  if (!S_ISDIR(status.st_mode)) rights &= kOfFiles;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights;
  rule.parent_fd = file.get();
  check(::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0), "cannot allow with Landlock",
      path);
}

}  // namespace

int landlock_version() noexcept {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < kMinVersion ? 0 : static_cast<int>(version);
}

bool restrict_files(const FileRights& rights) {
  const int version = landlock_version();
  if (version == 0) return false;
  const RulesetAttributes handled = attributes(version);
  const FileDescriptor ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0)));
  check(ruleset.get(), "cannot use Landlock", {});
  auto allow = [&](const std::vector<std::filesystem::path>& paths, uint64_t wanted) {
    for (const std::filesystem::path& path : paths) add_rule(ruleset.get(), path, wanted & handled.files);
  };
  allow(rights.read, kRead);
  allow(rights.execute, kExecute);
  allow(rights.write, kWrite);
  allow(rights.write_and_link, kWriteAndLink);
  check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "cannot set no_new_privs", {});
  check(::syscall(SYS_landlock_restrict_self, ruleset.get(), 0), "cannot use Landlock", {});
  return true;
}

}  // namespace depickle::os
