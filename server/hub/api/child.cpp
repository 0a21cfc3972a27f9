#include "server/hub/api/child.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "depickle/base/error.h"

namespace depickle::server::api {

Child::Pipe Child::open_pipe(const std::string& program) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error(errno, "cannot create a pipe for", program);
  return {os::FileDescriptor(ends[0]), os::FileDescriptor(ends[1])};
}

Child::Child(const std::vector<std::string>& arguments, const std::vector<std::string>& environment, int input)
    : Child(arguments, environment, input, open_pipe(arguments[0])) {}

Child::Child(
    const std::vector<std::string>& arguments, const std::vector<std::string>& environment, int input, Pipe output)
    : output_(std::move(output.read_end)),
      process_(arguments, {input, output.write_end.get(), -1}, environment) {}

size_t Child::read(MutableBytes into) {
  while (true) {
    // Not os::read_all: a partial result goes to the client at once.
    ssize_t count = ::read(output_.get(), into.data(), into.size());
    if (count > 0) return static_cast<size_t>(count);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(errno, "cannot read from", "a child process");
    if (process_.wait() != 0) throw Error(Code::io, "", "a child process failed");
    return 0;
  }
}

}  // namespace depickle::server::api
