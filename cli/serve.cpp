// depickle serve: the page and the embedded Hub, or the page for another Hub.
#include <signal.h>
#include <sys/resource.h>

#include <functional>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/environment.h"
#include "cli/exit_code.h"
#include "cli/sandbox.h"
#include "depickle/base/text.h"
#include "server/hub/api/hub_api.h"
#include "server/hub/repos/import.h"
#include "server/page/app.h"
#include "server/web/hub_pages.h"
#include "server/web/page.h"

namespace depickle::cli {
namespace {

constexpr uint64_t kWorkerMemoryBytes = uint64_t{2} << 30;

struct ServeCommand {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;
  std::string data = "depickle-hub";
  std::string import;
  uint64_t inline_up_to_bytes = 0;
  bool log = false;
  std::string hub;
  bool personal = false;
  bool no_page = false;
  std::vector<std::string> names;
  std::string worker;
  server::page::Limits limits;
  int64_t job_seconds = limits.job.count();
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
  void watch(std::function<void()> stop) {
    waiter_ = std::thread([this, stop = std::move(stop)] {
      int number = 0;
      ::sigwait(&signals_, &number);
      if (number == SIGUSR2) return;
      stop();
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

void import(server::repos::Store& store, const ServeCommand& options, const Console& console) {
  server::repos::import_folder(store, options.import, [&](const server::repos::Imported& done) {
    console.say(done.existed ? fmt::format("imported before: {}\n", done.id.full())
                             : fmt::format("imported {}: {}, {}\n", done.id.full(), plural(done.files, "file"),
                                   human_bytes(done.bytes)));
  });
}

/// The account that opens pull requests where nobody gives a token. Its token is new with each start and only ever in memory.
std::string account_token(server::repos::Store& store) {
  constexpr std::string_view kName = "depickle";
  store.users().revoke_tokens(kName);
  return store.users().add_token(kName, true);
}

server::page::Settings page_settings(const ServeCommand& options, server::repos::Store* store, const Console& console) {
  server::page::Settings settings;
  settings.data = options.data;
  settings.version = DEPICKLE_VERSION;
  settings.hub = options.hub;
  while (settings.hub.ends_with('/')) settings.hub.pop_back();
  settings.is_embedded = store != nullptr;
  settings.is_personal = options.personal;
  settings.names = options.names;
  settings.limits = options.limits;
  settings.limits.job = std::chrono::seconds(options.job_seconds);
  settings.sandbox = sandbox_options();
  settings.sandbox.bounds.memory_bytes = kWorkerMemoryBytes;
  if (!options.worker.empty()) settings.sandbox.program = {options.worker, std::to_string(settings.sandbox.channels)};
  settings.log = [&console](std::string_view line) { console.say(fmt::format("{}\n", line)); };
  settings.token = store ? account_token(*store) : hub_settings().token;
  if (store)
    settings.samples = [store] {
      std::vector<std::string> names;
      for (const server::repos::RepoInfo& repo :
          store->repos().list({.owner = "samples", .newest_first = false, .limit = 20}, nullptr))
        names.push_back(repo.id.full());
      return names;
    };
  return settings;
}

/// What is served: the page and its API before the Hub, whose addresses are the more general ones.
class Served {
 public:
  Served(const ServeCommand& options, const Console& console) {
    if (options.hub.empty()) {
      store_ = server::repos::Store::open(options.data);
      if (!options.import.empty()) import(*store_, options, console);
      hub_ = std::make_unique<server::api::HubApi>(*store_, options.inline_up_to_bytes);
    }
    if (options.no_page) return;
    app_ = std::make_unique<server::page::App>(page_settings(options, store_.get(), console));
    for (const char* path : {"/api/v1", "/call", "/gradio_api"}) router_.mount(path, app_->api());
    for (const char* path : {"/healthz", "/metrics"}) router_.mount(path, app_->health());
    router_.guard([this](const server::http::Request& request) { app_->check_host(request); });
    server::web::add_page_routes(router_);
    if (!hub_) return;
    server::web::add_hub_page_routes(hub_->router());
    router_.mount("/", hub_->router());
  }
  const server::http::Router& router() const { return app_ ? router_ : hub_->router(); }
  void start(const std::string& host, uint16_t port, const server::http::Counters& counters) {
    if (hub_) hub_->set_counters(counters);
    if (app_) app_->start(host, port, counters);
  }
  void begin_stop() {
    if (app_) app_->begin_stop();
  }

 private:
  std::unique_ptr<server::repos::Store> store_;
  std::unique_ptr<server::api::HubApi> hub_;
  std::unique_ptr<server::page::App> app_;
  server::http::Router router_;
};

int serve(const ServeCommand& options, const Console& console) {
  if (!options.hub.empty() && options.no_page)
    throw Error(Code::unsupported, "", "--hub and --no-page leave nothing to serve", {}, "leave out one of them");
  raise_descriptor_limit();
  StopOnSignal signals;
  Served served(options, console);
  server::http::Options http;
  http.explain = [&console](const server::http::Request& request, const std::exception& problem) {
    server::http::Response answer = server::api::HubApi::explain(request, problem);
    if (answer.status >= 500)
      console.say(fmt::format("{} {}: {}\n", request.method, printable(request.raw_path()), printable(problem.what())));
    return answer;
  };
  if (options.log)
    http.log = [&console](const server::http::Served& done) {
      console.say(fmt::format("{} {} {} {} bytes {:.1f} ms\n", done.method, printable(done.path), done.status,
          done.sent_bytes, done.seconds * 1000));
    };
  server::http::Server server(served.router(), std::move(http));
  uint16_t port = server.listen(options.host, options.port);
  served.start(options.host, port, server.counters());
  bool is_ipv6 = options.host.find(':') != std::string::npos;
  console.out(
      fmt::format("listening on http://{}{}{}:{}\n", is_ipv6 ? "[" : "", options.host, is_ipv6 ? "]" : "", port));
  console.flush();
  signals.watch([&] {
    served.begin_stop();  // first: jobs are put back, not failed for a Hub that is gone
    server.stop();
  });
  server.run();
  return kYes;
}

}  // namespace

void add_serve(CLI::App& app, Program& program) {
  auto options = std::make_shared<ServeCommand>();
  CLI::App* command = app.add_subcommand(
      "serve", "The page, and the embedded Hub: what huggingface_hub, git and depickle take for a Hub");
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
  command
      ->add_option("--hub", options->hub,
          "The page for this Hub instead of an embedded one; its account's token comes from HF_TOKEN")
      ->type_name("URL")
      ->excludes(command->get_option("--import"));
  command->add_flag("--personal", options->personal,
      "For one person: read and merge with the account's rights where no token is given");
  command
      ->add_option("--name", options->names, "A host name that the page may be called by; more than one may be given")
      ->type_name("HOST");
  command->add_flag("--no-page", options->no_page, "The embedded Hub alone");
  command->add_option("--jobs", options->limits.conversions, "Conversions at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--most-model-bytes", options->limits.model_bytes, "Refuse to convert more than this")
      ->capture_default_str()
      ->type_name("BYTES");
  command->add_option("--job-seconds", options->job_seconds, "Stop a job after so long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->type_name("SECONDS");
  command->add_option("--worker", options->worker, "Another program that reads the files, for tests")->group("");
  command->add_option("--disk-bytes", options->limits.disk_bytes, "Keep at most so much of downloads and results")
      ->capture_default_str()
      ->type_name("BYTES");
  command->callback(
      [options, &program] { program.run = [options, &program] { return serve(*options, program.console); }; });
}

}  // namespace depickle::cli
