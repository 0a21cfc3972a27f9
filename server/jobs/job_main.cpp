#include "server/jobs/job_main.h"

#include <poll.h>
#include <string.h>

#include <algorithm>
#include <csignal>
#include <new>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/sandbox/channel.h"
#include "depickle/sandbox/sandbox.h"
#include "server/jobs/confine.h"
#include "server/jobs/meter.h"
#include "server/jobs/work.h"

namespace depickle::server::jobs {
namespace {

using sandbox::Channel;

void send(const Channel& server, const std::string& message) {
  if (!server.send(message)) throw Error(Code::cancelled, "", "the server has closed the socket");
}

void wipe(std::string& text) { ::explicit_bzero(text.data(), text.size()); }

/// Throws if the server has sent a message, which can only be the one to stop, or has closed the socket.
void check_stopped(const Channel& server) {
  pollfd one{server.descriptor(), POLLIN, 0};
  if (::poll(&one, 1, 0) > 0) throw Error(Code::cancelled, "", "the server stopped the job");
}

sandbox::SandboxOptions sandbox_options(const Confinement& confinement, const Task& task, std::function<void()> check) {
  sandbox::SandboxOptions options;
  options.program = {"/proc/self/exe", "worker", std::to_string(options.channels)};
  if (!confinement.sandbox.empty()) options.program = {confinement.sandbox, std::to_string(options.channels)};
#ifdef __SANITIZE_ADDRESS__
  options.environment = {"ASAN_OPTIONS=detect_leaks=0"};  // leak detection needs ptrace(2)
#endif
  options.limits.memory_bytes = task.sandbox_memory_bytes;
  options.check_cancelled = std::move(check);
  return options;
}

/// Sends the phases of the job that the page shows, and their progress.
class Reporter {
 public:
  Reporter(const Channel& server, const JobRequest& request) : server_(server), phases_(phases(request)) {}

  void enter(std::string_view phase) {
    is_shown_ = std::ranges::find(phases_, phase) != phases_.end();
    if (is_shown_) send(server_, encode_phase(phase));
  }
  void progress(const JobProgress& progress) const {
    if (is_shown_) send(server_, encode_progress(progress));
  }

 private:
  const Channel& server_;
  const std::vector<std::string_view> phases_;
  bool is_shown_ = false;
};

JobResult run_task(const Channel& server, const Confinement& confinement, const Task& task, repo::Engine& engine,
    const std::function<void()>& check) {
  Reporter reporter(server, task.request);
  Meter meter([&](std::string_view phase) { reporter.enter(phase); },
      [&](const JobProgress& progress) { reporter.progress(progress); });
  return do_work({.task = task,
      .request = task.request,
      .folder = confinement.folder,
      .cache = confinement.cache,
      .engine = engine,
      .check = check,
      .enter =
          [&](std::string_view phase) {
            check();
            meter.enter(phase);
          },
      .expect = [&](uint64_t bytes) { meter.expect(bytes); },
      .progress =
          [&](const Step& step) {
            check();
            meter.report(step, Meter::Clock::now());
          }});
}

void run(const Channel& server, const Confinement& confinement, const Task& task) {
  auto check = [&server] { check_stopped(server); };
  sandbox::Sandbox sandbox(sandbox_options(confinement, task, check));
  // Without an effect if the server has closed the socket.
  auto fail = [&](const Error& error) { server.send(encode_error(error, sandbox.failures())); };
  try {
    const JobResult result = run_task(server, confinement, task, sandbox, check);
    encode_result(result, sandbox.failures(), [&](const std::string& message) { send(server, message); });
  } catch (const Error& error) {
    fail(error);
  } catch (const std::bad_alloc&) {
    fail(Error(Code::limit, "",
        fmt::format("the job needs more memory than allowed (limit {})", human_bytes(confinement.memory_bytes)), {},
        "use the program on a machine with more memory: depickle inspect, depickle convert or depickle check"));
  } catch (const std::exception& problem) {
    fail(Error(Code::io, "", fmt::format("internal error: {}", printable(problem.what())), {}, "try again"));
  }
}

}  // namespace

int run_job() {
  // Ctrl-C, a closed terminal and systemd signal the server too, which then stops the jobs.
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(number, SIG_IGN);
  const Channel server{os::FileDescriptor(kSocket)};
  sandbox::Message message;
  if (server.receive(message) != sandbox::Received::message) return 2;
  const Confinement confinement = decode_confinement(message.payload);
  try {
    confine(confinement);
    if (server.receive(message) != sandbox::Received::message) return 2;
    Task task = decode_task(message.payload);
    wipe(message.payload);
    run(server, confinement, task);
    wipe(task.token);
    wipe(task.account_token);
    return 0;
  } catch (const Error& error) {  // of confine()
    server.send(encode_error(error, 0));
    return 2;
  }
}

}  // namespace depickle::server::jobs
