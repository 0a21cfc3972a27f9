// The page's server: jobs, and the API that the page talks to (web/openapi.json).
#pragma once

#include <memory>
#include <string>

#include "server/http/server.h"
#include "server/page/settings.h"

namespace depickle::server::page {

/// Begins to work at start(), which is after the server listens: an embedded Hub is asked at its own address. Must outlive the server.
class App {
 public:
  /// Throws Error{io} where another server holds the data folder.
  explicit App(Settings settings);
  ~App();  ///< waits for the jobs that run

  /// /api/v1, /call and /gradio_api; to be mounted there.
  const http::Router& api() const noexcept;
  /// /healthz and /metrics, which answer whatever they are called.
  const http::Router& health() const noexcept;
  /// For the page's own routes: refuses requests for other hosts.
  void check_host(const http::Request& request) const;

  /// `host` and `port` as they were bound.
  void start(const std::string& host, uint16_t port, const http::Counters& counters);
  /// Tells running jobs to stop: what can be done again is done again by a later process. From any thread.
  void begin_stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace depickle::server::page
