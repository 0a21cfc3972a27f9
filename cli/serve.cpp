// depickle serve: serves the page with the embedded Hub or with another Hub.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/environment.h"
#include "cli/exit_code.h"
#include "depickle/base/text.h"
#include "server/base/log.h"
#include "server/http/access_guard.h"
#include "server/hub/api/hub_api.h"
#include "server/hub/repos/import.h"
#include "server/page/app.h"
#include "server/web/hub_pages.h"
#include "server/web/page.h"

namespace depickle::cli {
namespace {

// What the Hub client, libcurl and the C library read. Tokens are not among them.
constexpr const char* kJobVariables[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
    "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ",
    "RES_OPTIONS", "LOCALDOMAIN", "LD_LIBRARY_PATH"};

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
  bool no_gc = false;
  std::vector<std::string> names;
  std::vector<std::string> trusted_proxies;
  std::string worker;
  server::StoreLimits store_limits;
  server::page::PageLimits limits;
  int64_t job_seconds = limits.job.count();
};

/// Stops the server after Ctrl-C or SIGTERM, which a thread waits for; a second signal ends the program. Construct it
/// before any other thread starts, because threads inherit the signal mask.
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

/// Raises the limit of open files as far as allowed: each connection and each transferred file needs a descriptor.
void raise_descriptor_limit() {
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void import(server::repos::Store& store, const ServeCommand& options, const Console& console) {
  server::repos::import_folder(store, options.import, [&](const server::repos::Imported& done) {
    console.say(done.existed ? fmt::format("already imported: {}\n", done.id.full())
                             : fmt::format("imported {}: {}, {}\n", done.id.full(), plural(done.files, "file"),
                                   human_bytes(done.bytes)));
  });
}

/// Creates a token for the account that opens pull requests for visitors without a token. It replaces the tokens of
/// earlier starts and exists only in memory.
std::string account_token(server::repos::Store& store) {
  constexpr std::string_view kName = "depickle";
  if (store.users().find(kName)) store.users().revoke_tokens(kName);
  return store.users().add_token(kName, true);
}

/// Returns depickle-jobs beside this program. Throws Error{not_found} if it cannot be executed.
server::page::JobProgram job_program(const ServeCommand& options) {
  server::page::JobProgram program;
  std::error_code unknown;
  program.path = std::filesystem::read_symlink("/proc/self/exe", unknown).replace_filename("depickle-jobs");
  if (::access(program.path.c_str(), X_OK) != 0)
    throw system_error(errno, "cannot run jobs", program.path.string())
        .with_hint("install depickle-jobs beside depickle-server");
  for (const char* name : kJobVariables)
    if (const char* value = std::getenv(name)) program.environment.push_back(fmt::format("{}={}", name, value));
#ifdef __SANITIZE_ADDRESS__
  program.environment.emplace_back("ASAN_OPTIONS=detect_leaks=0");  // leak detection needs ptrace(2)
#endif
  if (!options.worker.empty()) program.sandbox = std::filesystem::absolute(options.worker);
  return program;
}

server::page::Settings page_settings(const ServeCommand& options, server::repos::Store* store, server::Log& log) {
  server::page::Settings settings;
  settings.data = options.data;
  settings.version = DEPICKLE_VERSION;
  settings.hub = options.hub;
  while (settings.hub.ends_with('/')) settings.hub.pop_back();
  settings.is_embedded = store != nullptr;
  settings.is_personal = options.personal;
  settings.limits = options.limits;
  settings.limits.job = std::chrono::seconds(options.job_seconds);
  settings.job_program = job_program(options);
  settings.log = [&log](std::string_view line) { log.add(line); };
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

/// The routes of the page, its API and the Hub. Those of the Hub come last, because they match more paths.
class Site {
 public:
  Site(const ServeCommand& options, const Console& console, server::Log& log) : guard_(options.names) {
    router_.set_guard([this](const server::http::Request& request) { return guard_.check(request); });
    if (options.hub.empty()) {
      store_ = server::repos::Store::open(options.data, options.store_limits);
      if (!options.import.empty()) import(*store_, options, console);
      if (!options.no_gc) store_->start_maintenance([&log](std::string_view line) { log.add(line); });
      hub_ = std::make_unique<server::api::HubApi>(*store_, options.inline_up_to_bytes);
    }
    if (options.no_page) {
      router_.mount("/", hub_->router());
      return;
    }
    app_ = std::make_unique<server::page::App>(page_settings(options, store_.get(), log));
    for (const char* path : {"/api/v1", "/call", "/gradio_api"}) router_.mount(path, app_->api());
    for (const char* path : {"/healthz", "/metrics"}) router_.mount(path, app_->health());
    server::web::add_page_routes(router_);
    if (!hub_) return;
    server::web::add_hub_page_routes(hub_->router());
    router_.mount("/", hub_->router());
  }
  /// For the bodies of requests to the embedded Hub.
  std::filesystem::path temporary_folder() const { return store_->temporary_folder(); }
  const server::http::Router& router() const { return router_; }
  void start(const std::string& host, uint16_t port, const server::http::Counters& counters) {
    guard_.set_address(host, port);
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
  server::http::AccessGuard guard_;
  server::http::Router router_;
};

int serve(const ServeCommand& options, const Console& console) {
  if (!options.hub.empty() && options.no_page)
    throw Error(Code::unsupported, "", "--hub and --no-page cannot be combined", {}, "omit one of them");
  if (options.personal && !server::http::is_loopback_host(options.host))
    throw Error(Code::unsupported, "",
        fmt::format("--personal cannot be combined with --host {}: everybody who reaches the server has the rights of "
                    "its account",
            printable(options.host)),
        {}, "listen on 127.0.0.1, or omit --personal");
  raise_descriptor_limit();
  StopOnSignal signals;
  server::Log log([&console](std::string_view line) { console.say(fmt::format("{}\n", line)); });
  Site site(options, console, log);
  server::http::Options http;
  http.trusted_proxies = options.trusted_proxies;
  http.explain = [&log](const server::http::Request& request, const std::exception& problem) {
    server::http::Response answer = server::api::HubApi::explain(request, problem);
    if (answer.status >= 500)
      log.add(fmt::format("{} {}: {}", request.method, printable(request.raw_path()), printable(problem.what())));
    return answer;
  };
  if (options.log)
    http.log = [&log](const server::http::AccessLogEntry& done) {
      log.add(fmt::format("{} {} {} {} bytes {:.1f} ms", done.method, printable(done.path), done.status,
          done.sent_bytes, done.seconds * 1000));
    };
  if (options.hub.empty()) http.limits.bodies.folder = site.temporary_folder();
  server::http::Server server(site.router(), std::move(http));
  uint16_t port = server.listen(options.host, options.port);
  site.start(options.host, port, server.counters());
  bool is_ipv6 = options.host.find(':') != std::string::npos;
  console.out(
      fmt::format("listening on http://{}{}{}:{}\n", is_ipv6 ? "[" : "", options.host, is_ipv6 ? "]" : "", port));
  console.flush();
  signals.watch([&] {
    site.begin_stop();  // first, so that jobs return to the queue instead of failing without the Hub
    server.stop();
  });
  server.run();
  return kYes;
}

}  // namespace

void add_serve(CLI::App& app, Program& program) {
  auto options = std::make_shared<ServeCommand>();
  CLI::App* command = app.add_subcommand("serve", "Serve the page and the embedded Hub");
  command->add_option("--host", options->host, "Address to listen on")->capture_default_str()->type_name("HOST");
  command->add_option("--port", options->port, "Port; 0 selects a free one")->capture_default_str()->type_name("PORT");
  command->add_option("--data", options->data, "Data folder")->capture_default_str()->type_name("DIR");
  command->add_option("--import", options->import, "Import each new DIR/ORG/NAME as a public repository")
      ->type_name("DIR");
  command
      ->add_option("--inline-up-to", options->inline_up_to_bytes,
          "Accept files up to this size inside commits, without LFS or xet")
      ->type_name("BYTES");
  command
      ->add_option("--user-bytes", options->store_limits.user_bytes,
          "Maximum size of all LFS files that one user has uploaded (default: no limit)")
      ->type_name("BYTES");
  command
      ->add_option("--uncommitted-bytes", options->store_limits.uncommitted_bytes,
          "Maximum size of the LFS files of one user that no commit names")
      ->capture_default_str()
      ->type_name("BYTES");
  command
      ->add_option("--reserve-bytes", options->store_limits.reserve_bytes,
          "Free space that uploads leave (default: 1 GiB or 2 % of the disk, whichever is larger)")
      ->type_name("BYTES");
  command->add_flag("--log", options->log, "Log requests to stderr, without tokens and queries");
  command->add_option("--hub", options->hub, "Serve the page for this Hub, with the token in HF_TOKEN")
      ->type_name("URL")
      ->excludes(command->get_option("--import"));
  command->add_flag(
      "--personal", options->personal, "For one person: visitors have the rights of the server's account");
  command->add_option("--name", options->names, "Allowed host name; may be repeated")->type_name("HOST");
  command
      ->add_option(
          "--trusted-proxy", options->trusted_proxies, "Proxy whose X-Forwarded-For names the client; may be repeated")
      ->check([](const std::string& text) {
        return server::http::is_ip_address(text) ? std::string() : text + " is not an IP address";
      })
      ->type_name("ADDRESS");
  command->add_flag("--no-page", options->no_page, "Serve only the embedded Hub");
  command->add_flag("--no-gc", options->no_gc, "Delete nothing that no commit needs: depickle hub gc does it");
  command->add_option("--jobs", options->limits.conversions, "Number of parallel conversions")
      ->check(CLI::Range(1, 64))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--max-model-bytes", options->limits.model_bytes, "Maximum size of a model")
      ->capture_default_str()
      ->type_name("BYTES");
  command->add_option("--job-seconds", options->job_seconds, "Maximum time of a job")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->type_name("SECONDS");
  command->add_option("--worker", options->worker, "Program that parses the files, for tests")->group("");
  command
      ->add_option(
          "--disk-bytes", options->limits.disk_bytes, "Maximum size of stored downloads, results and job tables")
      ->capture_default_str()
      ->type_name("BYTES");
  command->callback(
      [options, &program] { program.run = [options, &program] { return serve(*options, program.console); }; });
}

}  // namespace depickle::cli
