#include "server/page/app.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/client.h"
#include "depickle/os/landlock.h"
#include "server/base/folder_lock.h"
#include "server/jobs/hub_settings.h"
#include "server/page/address.h"
#include "server/page/service.h"

namespace depickle::server::page {
namespace {

/// Asks the Hub for the name of the account until it answers, and applies the disk quota every 10 minutes.
class CleanupThread {
 public:
  ~CleanupThread() {
    begin_stop();
    if (thread_.joinable()) thread_.join();
  }
  void start(Service& service) {
    thread_ = std::thread([this, &service] { run(service); });
  }
  void begin_stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes kQuotaInterval{10}, kMaxAccountPause{5};

  void run(Service& service) {
    Clock::time_point next_quota = Clock::now();
    std::optional<Clock::time_point> next_account;
    std::chrono::milliseconds pause{500};
    if (!service.settings.token.empty()) next_account = next_quota;
    while (!is_stopping()) {
      if (next_account && Clock::now() >= *next_account) {
        next_account.reset();
        if (!has_account(service)) next_account = Clock::now() + pause;
        pause = std::min<std::chrono::milliseconds>(2 * pause, kMaxAccountPause);
      }
      if (Clock::now() >= next_quota) {
        service.apply_disk_quota();
        next_quota = Clock::now() + kQuotaInterval;
      }
      std::unique_lock lock(mutex_);
      changed_.wait_until(lock, std::min(next_quota, next_account.value_or(next_quota)), [&] { return stopping_; });
    }
  }

  bool is_stopping() {
    std::lock_guard lock(mutex_);
    return stopping_;
  }

  /// Returns false if the Hub is to be asked again.
  bool has_account(Service& service) noexcept try {
    hub::Settings hub = service.hub_settings(service.settings.token);
    hub.retry_policy.max_retries = 0;
    hub.check_cancelled = [this] {
      if (is_stopping()) throw Error(Code::cancelled, "", "the server is stopping");
    };
    service.set_account_name(hub::Client(std::move(hub)).whoami().name);
    return true;
  } catch (const Error& error) {
    if (error.code() == Code::cancelled || is_stopping()) return true;
    service.settings.log("account: " + std::string(error.what()));
    return error.code() == Code::denied;  // the token is wrong
  } catch (const std::exception& problem) {
    service.settings.log("account: " + printable(problem.what()));
    return false;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

Service::Service(Settings settings_)
    : settings(std::move(settings_)),
      database(open_database(settings.data)),
      tensors(database),
      jobs(database, settings.limits, settings.log),
      disk_quota(settings, jobs),
      visitors(settings.data / "app" / "cookies.key"),
      runner(settings, jobs, [this] { apply_disk_quota(); }),
      account_{.name = "", .token = settings.token} {}

Account Service::account() const {
  std::lock_guard lock(account_mutex_);
  return account_;
}

void Service::set_account_name(std::string name) {
  std::lock_guard lock(account_mutex_);
  account_.name = std::move(name);
}

hub::Settings Service::hub_settings(std::string token) const {
  return jobs::hub_settings(settings.hub, std::move(token), cache_folder(settings), settings.version);
}

void Service::apply_disk_quota() noexcept {
  try {
    disk_quota.apply();
  } catch (const std::exception& problem) {
    settings.log("disk quota: " + printable(problem.what()));
  }
}

Jobs::Added Service::add(const http::Request& request, JobKind kind, const std::string& address, uint64_t number,
    bool pull_request, const std::string& token) {
  const std::string own_host = settings.is_embedded ? request.field("Host") : "";
  const JobRequest job_request = parse_job_request(kind, address, number, pull_request, settings.hub, own_host);
  return jobs.add(job_request, visitors.id_of(request), request.peer, token);
}

struct App::State {
  explicit State(Settings settings) : lock(settings.data / "app"), service(std::move(settings)) {
    api.set_guard(require_json);
    api.set_error_response([](int status, std::string_view text) { return error_response(status, text); });
    add_job_routes(api, service);
    add_result_routes(api, service);
    add_merge_route(api, service);
    add_gradio_routes(api, service);
    health.add(
        "GET", "/healthz", [](http::Request&) { return http::respond(200, R"({"status":"ok"})", "application/json"); });
    health.add("GET", "/metrics",
        [this](http::Request&) { return http::respond(200, metrics(service), "text/plain; version=0.0.4"); });
  }
  FolderLock lock;
  Service service;
  http::Router api, health;
  CleanupThread cleanup;
};

App::App(Settings settings) : state_(std::make_unique<State>(std::move(settings))) {}
App::~App() = default;

const http::Router& App::api() const noexcept { return state_->api; }
const http::Router& App::health() const noexcept { return state_->health; }

void App::start(const std::string& host, uint16_t port, const http::Counters& counters) {
  Service& service = state_->service;
  service.counters = &counters;
  if (service.settings.is_embedded) {
    std::string own = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host;
    service.settings.hub =
        fmt::format("http://{}:{}", own.find(':') == std::string::npos ? own : "[" + own + "]", port);
  }
  if (os::landlock_version() == 0)
    service.settings.log("this kernel has no Landlock: the processes of jobs can open every file of this user");
  service.runner.start();
  state_->cleanup.start(service);
}

void App::begin_stop() {
  state_->cleanup.begin_stop();
  state_->service.jobs.stop();
}

}  // namespace depickle::server::page
