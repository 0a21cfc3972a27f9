#include "server/hub/api/child.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "depickle/base/error.h"

namespace depickle::server::api {

Child::Child(const std::vector<std::string>& words, const std::vector<std::string>& environment, int input) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error(errno, "cannot make a pipe", words[0]);
  output_ = ends[0];
  try {
    process_.emplace(words, std::vector{input, ends[1], -1}, environment);
  } catch (...) {
    ::close(ends[0]);
    ::close(ends[1]);
    throw;
  }
  ::close(ends[1]);
}

Child::~Child() { ::close(output_); }

size_t Child::read(MutableBytes into) {
  while (true) {
    ssize_t count = ::read(output_, into.data(), into.size());
    if (count > 0) return static_cast<size_t>(count);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(errno, "cannot read from", "a child process");
    if (process_->wait() != 0) throw Error(Code::io, "", "a child process failed");
    return 0;
  }
}

}  // namespace depickle::server::api
