// What the API's handlers share. Inside app only.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "server/http/router.h"
#include "server/http/server.h"
#include "server/page/disk_quota.h"
#include "server/page/errors.h"
#include "server/page/jobs.h"
#include "server/page/runner.h"
#include "server/page/visitor.h"

namespace depickle::server::page {

struct Service {
  explicit Service(Settings settings_);

  Settings settings;
  std::shared_ptr<Database> database, reader;
  Tensors tensors;
  Jobs jobs;
  DiskQuota keeping;
  Guard guard;
  Runner runner;
  const http::Counters* counters = nullptr;
  std::atomic<int> merging = 0;

  Account account() const;
  void set_account(Account account);
  /// Queues what was asked for. Throws as read_wish() and Jobs::add().
  Jobs::Added add(const http::Request& request, Kind kind, const std::string& address, uint64_t number,
      bool pull_request, const std::string& token);

 private:
  mutable std::mutex account_mutex_;
  Account account_;
};

void add_job_routes(http::Router& router, Service& service);
void add_result_routes(http::Router& router, Service& service);
void add_merge_route(http::Router& router, Service& service);
void add_gradio_routes(http::Router& router, Service& service);
/// Prometheus' text format.
std::string metrics(const Service& service);

/// The handler with its errors explained.
template <typename Handler>
http::Handler answering(Service& service, Handler handler) {
  return [&service, handler](http::Request& request) {
    return explained([&] { return handler(service, request); }, service.settings.log);
  };
}

http::Response json_response(int status, std::string json);
/// Throws 404.
Job job_at(const Service& service, const http::Request& request);
/// The query's number. Throws 400 where it is none or out of bounds.
uint64_t number_of(
    const http::Request& request, std::string_view name, uint64_t otherwise, uint64_t least, uint64_t most);

}  // namespace depickle::server::page
