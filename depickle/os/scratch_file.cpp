#include "depickle/os/scratch_file.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "depickle/base/error.h"

namespace depickle::os {
namespace {

int open_unnamed() {
  // /var/tmp is on a disk; /tmp may be in memory.
  for (const char* folder : {"/var/tmp", "/tmp"}) {
    int fd = ::open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
  }
  throw system_error(errno, "cannot create a temporary file", "/var/tmp");
}

std::function<int()>& opener() {
  static std::function<int()> open = open_unnamed;
  return open;
}

}  // namespace

int open_scratch_file() { return opener()(); }
void set_scratch_files(std::function<int()> open) { opener() = std::move(open); }

}  // namespace depickle::os
