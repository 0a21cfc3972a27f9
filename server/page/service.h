// The state that the API's handlers share. Inside this module only.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "depickle/hub/settings.h"
#include "server/http/router.h"
#include "server/http/server.h"
#include "server/page/disk_quota.h"
#include "server/page/errors.h"
#include "server/page/jobs.h"
#include "server/page/runner.h"
#include "server/page/visitor.h"

namespace depickle::server::page {

/// The server's account at the Hub. Empty if it has none.
struct Account {
  std::string name;  ///< empty until the Hub has answered
  std::string token;
};

struct Service {
  explicit Service(Settings settings_);

  Settings settings;
  std::shared_ptr<Database> database;
  Tensors tensors;
  Jobs jobs;
  DiskQuota disk_quota;
  Visitors visitors;
  Runner runner;
  const http::Counters* counters = nullptr;
  std::atomic<int> merging = 0;

  Account account() const;
  void set_account_name(std::string name);
  /// Returns the settings of the server's own Hub clients.
  hub::Settings hub_settings(std::string token) const;
  /// Applies the disk quota. Logs errors, because threads call it.
  void apply_disk_quota() noexcept;
  /// Parses a request and adds the job. Throws what parse_job_request() and Jobs::add() throw.
  Jobs::Added add(const http::Request& request, JobKind kind, const std::string& address, uint64_t number,
      bool pull_request, const std::string& token);

 private:
  mutable std::mutex account_mutex_;
  Account account_;
};

void add_job_routes(http::Router& router, Service& service);
void add_result_routes(http::Router& router, Service& service);
void add_merge_route(http::Router& router, Service& service);
void add_gradio_routes(http::Router& router, Service& service);
/// Returns the metrics in the text format of Prometheus.
std::string metrics(const Service& service);

/// Returns the handler with its exceptions turned into error responses.
template <typename Handler>
http::Handler api_handler(Service& service, Handler handler) {
  return [&service, handler](http::Request& request) {
    return catch_errors([&] { return handler(service, request); }, service.settings.log);
  };
}

/// The same for a request with a body of up to 16 kB, which stays in memory because it may contain a token.
template <typename Handler>
http::Opener api_body_handler(Service& service, Handler handler) {
  return [&service, handler](http::Request& request, const http::Bodies& bodies) {
    return bodies.buffered(request, http::Sender::anonymous(request), api_handler(service, handler), 16 << 10);
  };
}

http::Response json_response(int status, std::string json);
/// Returns the job of the route. Throws http::Abort with status 404.
Job job_at(const Service& service, const http::Request& request);
/// Returns a number from the query. Throws http::Abort with status 400 if it is not a number from `min` to `max`.
uint64_t number_of(
    const http::Request& request, std::string_view name, uint64_t default_value, uint64_t min, uint64_t max);

}  // namespace depickle::server::page
