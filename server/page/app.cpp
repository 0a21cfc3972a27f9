#include "server/page/app.h"

#include <condition_variable>
#include <thread>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/base/folder_lock.h"
#include "server/page/address.h"
#include "server/page/service.h"

namespace depickle::server::page {
namespace {

/// Applies the disk quota every 10 minutes and asks the Hub once for the name of the account.
class CleanupThread {
 public:
  ~CleanupThread() { stop(); }
  void start(Service& service) {
    thread_ = std::thread([this, &service] {
      ask_account(service);
      std::unique_lock lock(mutex_);
      while (!stopping_) {
        lock.unlock();
        service.disk_quota.apply();
        lock.lock();
        changed_.wait_for(lock, std::chrono::minutes(10), [&] { return stopping_; });
      }
    });
  }
  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void ask_account(Service& service) {
    const std::string token = service.settings.token;
    if (token.empty()) return;
    try {
      hub::Settings hub = hub_settings(service.settings, token);
      hub.check_cancelled = [this] {
        std::lock_guard lock(mutex_);
        if (stopping_) throw Error(Code::cancelled, "", "the server is stopping");
      };
      service.set_account({hub::Client(std::move(hub)).whoami().name, token});
    } catch (const Error& error) {
      if (error.code() != Code::cancelled) service.settings.log("account: " + std::string(error.what()));
    }
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
      reader(open_database(settings.data)),
      tensors(database, reader),
      jobs(database, reader, settings.limits, settings.log),
      disk_quota(settings, jobs),
      visitors(settings.data / "app" / "cookies.key"),
      runner(
          settings, [this] { return account(); }, jobs, [this] { disk_quota.apply(); }),
      account_{.name = "", .token = settings.token} {}

Account Service::account() const {
  std::lock_guard lock(account_mutex_);
  return account_;
}

void Service::set_account(Account account) {
  std::lock_guard lock(account_mutex_);
  account_ = std::move(account);
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
  service.runner.start();
  state_->cleanup.start(service);
}

void App::begin_stop() { state_->service.jobs.stop(); }

}  // namespace depickle::server::page
