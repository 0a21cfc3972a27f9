#include "depickle/os/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "depickle/base/error.h"

namespace depickle::os {
namespace {

bool is_same_file(int descriptor, const std::filesystem::path& path) {
  struct stat locked, named;
  return ::fstat(descriptor, &locked) == 0 && ::stat(path.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
         locked.st_dev == named.st_dev;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, const std::function<void()>& check_cancelled) {
  do {
    file_ = open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0664, "cannot lock");
    while (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) throw system_error(errno, "cannot lock", path);
      if (check_cancelled) check_cancelled();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    // If the previous holder removed the file, another process may have locked a new file with the same name.
  } while (!is_same_file(file_.get(), path));
}

}  // namespace depickle::os
