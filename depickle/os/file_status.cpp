#include "depickle/os/file_status.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "depickle/base/error.h"

namespace depickle::os {

struct stat status_of(int descriptor, const std::string& name) {
  struct stat status{};
  if (::syscall(SYS_fstat, descriptor, &status) != 0) throw system_error(errno, "cannot stat", name);
  return status;
}

}  // namespace depickle::os
