#include "server/hub/api/child.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "depickle/base/error.h"

namespace depickle::server::api {

Child::Child(const std::vector<std::string>& arguments, const std::vector<std::string>& environment, int input) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error(errno, "cannot create a pipe for", arguments[0]);
  output_.reset(ends[0]);
  os::FileDescriptor write_end(ends[1]);
  process_.emplace(arguments, std::vector{input, write_end.get(), -1}, environment);
}

size_t Child::read(MutableBytes into) {
  while (true) {
    // Not os::read_all: a partial result goes to the client at once.
    ssize_t count = ::read(output_.get(), into.data(), into.size());
    if (count > 0) return static_cast<size_t>(count);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(errno, "cannot read from", "a child process");
    if (process_->wait() != 0) throw Error(Code::io, "", "a child process failed");
    return 0;
  }
}

}  // namespace depickle::server::api
