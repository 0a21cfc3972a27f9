#include "depickle/os/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "depickle/base/error.h"

namespace depickle::os {
namespace {

constexpr const char* kCannotOpen = "cannot open";

}  // namespace

FileDescriptor open_beneath(int folder, const std::filesystem::path& path, int flags, const std::string& name) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  FileDescriptor file(static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how)));
  if (file) return file;
  // EPERM: the seccomp filter of an old container runtime, which does not know the system call.
  if (errno == ENOSYS || errno == EPERM) return open_beneath_by_component(folder, path, flags, name);
  throw system_error(errno, kCannotOpen, name);
}

FileDescriptor open_beneath_by_component(
    int folder, const std::filesystem::path& path, int flags, const std::string& name) {
  FileDescriptor opened;
  int at = folder;
  for (auto part = path.begin(); part != path.end();) {
    const std::filesystem::path component = *part;
    const bool is_last = ++part == path.end();
    if (component.empty() || component.has_root_directory() || component == "." || component == "..")
      throw system_error(EXDEV, kCannotOpen, name);
    const int open_flags = is_last ? flags : O_PATH | O_DIRECTORY;
    FileDescriptor next(::openat(at, component.c_str(), open_flags | O_CLOEXEC | O_NOFOLLOW));
    if (!next) throw system_error(errno, kCannotOpen, name);
    opened = std::move(next);
    at = opened.get();
  }
  if (!opened) throw system_error(ENOENT, kCannotOpen, name);
  return opened;
}

}  // namespace depickle::os
