#include "server/page/job_process.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>

#include <fmt/format.h>

namespace depickle::server::page {
namespace {

using Clock = std::chrono::steady_clock;
using sandbox::Received;

constexpr std::chrono::seconds kStopTime{5};
// How long a process may take to end after it has closed its socket.
constexpr int kEndMs = 2000;
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kMaxOutputBytes = 8000;  // the sanitizer's report
#else
constexpr size_t kMaxOutputBytes = 1000;
#endif

void send_and_wipe(const sandbox::Channel& channel, std::string message) {
  channel.send(message);  // a process that is dead is noticed by receive()
  ::explicit_bzero(message.data(), message.size());
}

}  // namespace

JobProcess::Connections JobProcess::connect() {
  auto [ours, theirs] = sandbox::Channel::pair();
  int ends[2];
  // Not blocking: a process that fills the pipe loses the rest, and the server need not empty it.
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw system_error(errno, "cannot open a pipe", "");
  return {std::move(ours), std::move(theirs), os::FileDescriptor(ends[0]), os::FileDescriptor(ends[1])};
}

JobProcess::JobProcess(const JobProgram& program) : JobProcess(program, connect()) {}

// The other ends are closed when this returns, so that receive() notices the end of the process.
JobProcess::JobProcess(const JobProgram& program, Connections connections)
    : channel_(std::move(connections.ours)),
      output_(std::move(connections.output)),
      process_({program.path}, {-1, -1, connections.their_output.get(), connections.theirs.descriptor()},
          program.environment) {
  static_assert(jobs::kSocket == 3);
}

jobs::JobResult JobProcess::run(const jobs::Confinement& confinement, const jobs::Task& task,
    jobs::ReportReader& reports, const std::function<void()>& check) {
  std::exception_ptr stopped;
  Clock::time_point deadline;
  auto stop_or_wait = [&] {
    if (stopped && Clock::now() >= deadline) std::rethrow_exception(stopped);
    if (stopped) return;
    try {
      check();
    } catch (...) {
      stopped = std::current_exception();
      deadline = Clock::now() + kStopTime;
      channel_.send("stop");
    }
  };
  send_and_wipe(channel_, encode(confinement));
  send_and_wipe(channel_, encode(task));
  try {
    receive_all(reports, stop_or_wait);
    return reports.result();
  } catch (const Error& error) {
    // The process answers with {cancelled}; the reason is here.
    if (stopped && error.code() == Code::cancelled) std::rethrow_exception(stopped);
    throw;
  } catch (const ProcessDied&) {
    if (stopped) std::rethrow_exception(stopped);
    throw;
  }
}

void JobProcess::receive_all(jobs::ReportReader& reports, const std::function<void()>& check) {
  sandbox::Message message;
  while (true) {
    switch (channel_.receive(message, {.max_bytes = jobs::kMaxReportBytes, .check = check})) {
      case Received::closed: throw death();
      case Received::too_large:
        throw Error(Code::malformed, "", "the job's process sent an invalid message: it is too large");
      case Received::message:
        if (reports.take(message.payload)) return;
    }
  }
}

ProcessDied JobProcess::death() {
  const bool has_ended = process_.wait_for(kEndMs);
  process_.kill();
  const int status = process_.wait();
  if (!has_ended) return {"the job's process closed its socket before the end of the job", output()};
  if (WIFSIGNALED(status))
    return {fmt::format(
                "the job's process was ended by signal {} ({})", WTERMSIG(status), ::sigabbrev_np(WTERMSIG(status))),
        output()};
  return {fmt::format("the job's process ended with exit status {} before the end of the job{}", WEXITSTATUS(status),
              WEXITSTATUS(status) == 127 ? ": the program could not be started" : ""),
      output()};
}

std::string JobProcess::output() const {
  std::string text(kMaxOutputBytes, '\0');
  const ssize_t count = ::read(output_.get(), text.data(), text.size());
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace depickle::server::page
