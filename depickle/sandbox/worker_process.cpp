#include "depickle/sandbox/worker_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/sandbox/file_broker.h"

namespace depickle::sandbox {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kMaxShownBytes = 8000;  // the sanitizer's report
#else
constexpr size_t kMaxShownBytes = 300;  // an assertion, a message of the C library
#endif

// How long a process may take to end after it has closed its channel.
constexpr int kEndMs = 2000;

std::vector<int> descriptors_of(const std::vector<Channel>& channels, int standard_error) {
  std::vector<int> descriptors{-1, -1, standard_error};
  for (const Channel& channel : channels) descriptors.push_back(channel.descriptor());
  return descriptors;
}

Error crash(int signal, const std::string& output) {
  return Error(Code::malformed, "",
      fmt::format("the sandboxed process crashed ({}{}); nothing outside the sandbox was changed",
          ::sigabbrev_np(signal), output.empty() ? "" : ": " + quoted(output, kMaxShownBytes)),
      {}, "this is a bug in depickle: please report it, with the file if you can");
}

Error cpu_time_error(const ResourceLimits& limits) {
  return Error(Code::limit, "",
      fmt::format("reading the file took more processor time than allowed (limit {} s)", limits.cpu_seconds));
}

}  // namespace

WorkerProcess::Connections WorkerProcess::connect(int channels) {
  Connections made;
  for (int i = 0; i < channels; ++i) {
    auto [ours, theirs] = Channel::pair();
    made.ours.push_back(std::move(ours));
    made.theirs.push_back(std::move(theirs));
  }
  int ends[2];
  // Not blocking: a worker that fills the pipe loses the rest, and the parent need not empty it.
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw system_error(errno, "cannot open a pipe", "");
  made.output.reset(ends[0]);
  made.their_output.reset(ends[1]);
  return made;
}

WorkerProcess::WorkerProcess(const SandboxOptions& options) : WorkerProcess(options, connect(options.channels)) {}

// The other ends are closed when this returns, so that receive() notices the end of the process.
WorkerProcess::WorkerProcess(const SandboxOptions& options, Connections connections)
    : output_(std::move(connections.output)),
      process_(
          options.program, descriptors_of(connections.theirs, connections.their_output.get()), options.environment) {
  tasks_.push_back(std::move(connections.ours.front()));
  for (size_t i = 1; i < connections.ours.size(); ++i) requests_.push_back(std::move(connections.ours[i]));
}

void WorkerProcess::kill() noexcept {
  process_.kill();
  process_.wait();
}

std::string WorkerProcess::output() const {
  std::string text(kMaxShownBytes + 1, '\0');
  const ssize_t count = ::read(output_.get(), text.data(), text.size());
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

Error WorkerProcess::death(const ResourceLimits& limits) {
  const bool has_ended = process_.wait_for(kEndMs);
  kill();
  const int status = process_.wait();
  if (!has_ended) return Error(Code::malformed, "", "the sandboxed process closed its channel without a result");
  if (!WIFSIGNALED(status))
    return Error(Code::io, "",
        fmt::format("the sandboxed process ended without a result (exit status {}{})", WEXITSTATUS(status),
            WEXITSTATUS(status) == 127 ? ": the program could not be started" : ""));
  const int number = WTERMSIG(status);
  switch (number) {
    case SIGSYS: return forbidden_error("the sandboxed process made a forbidden system call and was killed");
    case SIGXCPU: return cpu_time_error(limits);
    case SIGXFSZ:
      return Error(Code::limit, "",
          fmt::format("the result is larger than allowed (limit {} for a file)", human_bytes(limits.file_bytes)));
    case SIGBUS:
      return Error(Code::integrity, "", "the file was truncated while it was read", {},
          "try again when no program writes to the file");
    case SIGKILL:
      if (limits.cpu_seconds > 0 && process_.cpu_seconds() >= static_cast<double>(limits.cpu_seconds))
        return cpu_time_error(limits);
      return Error(Code::limit, "", "the sandboxed process was killed, probably because memory ran out", {},
          "try again on a machine with more memory");
    default: return crash(number, output());
  }
}

}  // namespace depickle::sandbox
