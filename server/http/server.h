// An HTTP/1.1 server: one thread waits for the sockets, workers run handlers and move bodies. Quick and slow work have
// workers of their own.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/http/addresses.h"
#include "server/http/router.h"

namespace depickle::server::http {

/// An idle connection takes some kilobytes and no thread. Bodies pass through one buffer per worker.
struct ServerLimits {
  std::chrono::milliseconds idle{60'000};   ///< between two requests
  std::chrono::milliseconds head{20'000};   ///< from the first byte of a head to the last
  std::chrono::milliseconds stall{30'000};  ///< without a byte of a body, in either direction, see Pace
  uint64_t min_bytes_per_second = 1024;     ///< of a body, in either direction, see Pace
  uint32_t head_bytes = 32 << 10;
  uint32_t connections = 10'000;  ///< open at the same time; more get status 503
  AddressLimits per_address;
  std::chrono::milliseconds heartbeat{15'000};  ///< between the comment lines of an event stream without events
  BodyLimits bodies;
  unsigned workers = 16;       ///< for quick work
  unsigned slow_workers = 16;  ///< for slow work and large bodies; one address has at most half of them at a time
  std::chrono::milliseconds grace{5'000};  ///< for running requests, after stop()
};

/// Totals since the start. Heads are included.
struct Counters {
  std::atomic<uint64_t> requests = 0;
  std::atomic<uint64_t> sent_bytes = 0;
  std::atomic<uint64_t> received_bytes = 0;
  std::atomic<uint64_t> connections = 0;  ///< open now
};

/// Returns the counters in the text format of Prometheus.
std::string metrics_text(const Counters& counters);

/// One answered request.
struct AccessLogEntry {
  std::string method;
  std::string path;  ///< without the query, which may contain signatures
  int status;
  uint64_t sent_bytes;
  double seconds;
};

struct Options {
  ServerLimits limits;
  /// IP addresses of proxies whose X-Forwarded-For is believed.
  std::vector<std::string> trusted_proxies;
  /// Turns an exception of a handler into a response. Not called for Abort. Also called, with the response ignored, if
  /// the server fails while it sends a body. Default: status 500 for every exception.
  std::function<Response(const Request&, const std::exception&)> explain;
  /// Called after each response, on the thread of run().
  std::function<void(const AccessLogEntry&)> log;
};

class Server {
 public:
  /// The router must outlive the server.
  explicit Server(const Router& router, Options options = {});
  ~Server();

  /// Binds and listens. Port 0 chooses a free port. Returns the port. Throws Error{io, port_unavailable}.
  uint16_t listen(const std::string& host, uint16_t port);
  /// Serves until stop() is called, then waits up to ServerLimits::grace for running requests. Call it once. Throws
  /// what makes it impossible to accept connections.
  void run();
  /// May be called from any thread, any number of times.
  void stop();

  const Counters& counters() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace depickle::server::http
