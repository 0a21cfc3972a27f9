// The page's API (web/openapi.json) and its jobs.
#pragma once

#include <memory>
#include <string>

#include "server/http/server.h"
#include "server/page/settings.h"

namespace depickle::server::page {

/// Runs jobs from start() on. start() needs the bound address, because jobs use an embedded Hub through HTTP. Must
/// outlive the server.
class App {
 public:
  /// Throws Error{io, folder_in_use} if another server uses the data folder.
  explicit App(Settings settings);
  ~App();  ///< waits for the running jobs

  /// The routes below /api/v1, /call and /gradio_api. Mount it at these prefixes.
  const http::Router& api() const noexcept;
  /// /healthz and /metrics.
  const http::Router& health() const noexcept;

  /// `host` and `port` are the bound address.
  void start(const std::string& host, uint16_t port, const http::Counters& counters);
  /// Stops running jobs. Jobs without a token are queued again for the next process. May be called from any thread.
  void begin_stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace depickle::server::page
