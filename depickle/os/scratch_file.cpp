#include "depickle/os/scratch_file.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "depickle/base/error.h"

namespace depickle::os {
namespace {

int open_nameless() {
  // /var/tmp before /tmp: it is on a disk where /tmp may be memory.
  for (const char* folder : {"/var/tmp", "/tmp"}) {
    int fd = ::open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
  }
  throw system_error(errno, "cannot make a temporary file", "/var/tmp");
}

std::function<int()>& maker() {
  static std::function<int()> make = open_nameless;
  return make;
}

}  // namespace

int open_scratch_file() { return maker()(); }
void set_scratch_files(std::function<int()> make) { maker() = std::move(make); }

}  // namespace depickle::os
