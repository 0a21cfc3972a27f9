#include "depickle/os/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "depickle/base/error.h"

namespace depickle::os {
namespace {

bool is_still_named(int fd, const std::filesystem::path& path) {
  struct stat held, named;
  return ::fstat(fd, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, const std::function<void()>& check_cancelled) {
  for (;;) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
    if (fd_ < 0) throw system_error(errno, "cannot lock", path);
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) {
        const int error_number = errno;
        ::close(fd_);
        throw system_error(error_number, "cannot lock", path);
      }
      try {
        if (check_cancelled) check_cancelled();
      } catch (...) {
        ::close(fd_);
        throw;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    if (is_still_named(fd_, path)) return;
    ::close(fd_);  // its holder has removed it: another process may hold the next one of this name
  }
}

FileLock::~FileLock() { ::close(fd_); }

}  // namespace depickle::os
