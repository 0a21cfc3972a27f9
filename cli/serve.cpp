// depickle serve: the embedded Hub.
#include <signal.h>
#include <sys/resource.h>

#include <memory>
#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "depickle/base/text.h"
#include "server/hub/api/hub_api.h"
#include "server/hub/store/import.h"

namespace depickle::cli {
namespace {

struct Options {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;
  std::string data = "depickle-hub";
  std::string import;
  uint64_t inline_up_to_bytes = 0;
  bool log = false;
};

/// Waits for Ctrl-C or SIGTERM on a thread of its own and stops the server then; a second one ends the program. To be
/// made before
/// any other thread, which then leaves these signals to this one.
class StopOnSignal {
 public:
  StopOnSignal() {
    ::sigemptyset(&signals_);
    for (int number : {SIGINT, SIGTERM, SIGUSR2}) ::sigaddset(&signals_, number);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  ~StopOnSignal() {
    if (!waiter_.joinable()) return;
    ::pthread_kill(waiter_.native_handle(), SIGUSR2);
    waiter_.join();
  }
  void watch(server::http::Server& server) {
    waiter_ = std::thread([this, &server] {
      int number = 0;
      ::sigwait(&signals_, &number);
      if (number == SIGUSR2) return;
      server.stop();
      for (int again : {SIGINT, SIGTERM}) ::signal(again, SIG_DFL);
      sigset_t ends = signals_;
      ::sigdelset(&ends, SIGUSR2);
      ::pthread_sigmask(SIG_UNBLOCK, &ends, nullptr);
      ::sigemptyset(&ends);
      ::sigaddset(&ends, SIGUSR2);
      ::sigwait(&ends, &number);
    });
  }

 private:
  sigset_t signals_;
  std::thread waiter_;
};

/// A connection is a descriptor, and so is a file under way: as many as the system lets us have.
void raise_descriptor_limit() {
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void import(server::Store& store, const Options& options, const Console& console) {
  server::import_folder(store, options.import, [&](const server::Imported& done) {
    console.say(done.existed ? fmt::format("imported before: {}\n", done.id.full())
                             : fmt::format("imported {}: {}, {}\n", done.id.full(), plural(done.files, "file"),
                                   human_bytes(done.bytes)));
  });
}

int serve(const Options& options, const Console& console) {
  raise_descriptor_limit();
  StopOnSignal signals;
  std::unique_ptr<server::Store> store = server::Store::open(options.data);
  if (!options.import.empty()) import(*store, options, console);
  server::HubApi api(*store, options.inline_up_to_bytes);
  server::http::Options http;
  http.explain = [&console](const server::http::Request& request, const std::exception& problem) {
    server::http::Response answer = server::HubApi::explain(request, problem);
    if (answer.status >= 500)
      console.say(fmt::format("{} {}: {}\n", request.method, printable(request.raw_path()), printable(problem.what())));
    return answer;
  };
  if (options.log)
    http.log = [&console](const server::http::Served& served) {
      console.say(fmt::format("{} {} {} {} bytes {:.1f} ms\n", served.method, printable(served.path), served.status,
          served.sent_bytes, served.seconds * 1000));
    };
  server::http::Server server(api.router(), std::move(http));
  api.count(server.counters());
  uint16_t port = server.listen(options.host, options.port);
  bool is_ipv6 = options.host.find(':') != std::string::npos;
  console.out(
      fmt::format("listening on http://{}{}{}:{}\n", is_ipv6 ? "[" : "", options.host, is_ipv6 ? "]" : "", port));
  console.flush();
  signals.watch(server);
  server.run();
  return kYes;
}

}  // namespace

void add_serve(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("serve", "The embedded Hub: what huggingface_hub, git and depickle take for a Hub");
  command->add_option("--host", options->host, "Address to listen on")->capture_default_str()->type_name("HOST");
  command->add_option("--port", options->port, "Port; 0 takes a free one")->capture_default_str()->type_name("PORT");
  command->add_option("--data", options->data, "Folder that keeps everything")->capture_default_str()->type_name("DIR");
  command
      ->add_option("--import", options->import, "Make a public repository of each DIR/ORG/NAME that is not there yet")
      ->type_name("DIR");
  command
      ->add_option("--inline-up-to", options->inline_up_to_bytes,
          "Files up to this many bytes come inside the commit instead of through LFS or xet")
      ->type_name("BYTES");
  command->add_flag("--log", options->log, "One line a request on stderr, without tokens and queries");
  command->callback(
      [options, &program] { program.run = [options, &program] { return serve(*options, program.console); }; });
}

}  // namespace depickle::cli
