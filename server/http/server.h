// An HTTP/1.1 server: one thread waits for sockets, workers run handlers and move bodies.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "server/http/addresses.h"
#include "server/http/router.h"

namespace depickle::server::http {

/// What one client may cost. An idle connection holds some kilobytes and no thread; bodies pass through one buffer a worker.
struct Limits {
  std::chrono::milliseconds idle{60'000};    ///< between two requests
  std::chrono::milliseconds head{20'000};    ///< from a head's first byte to its last
  std::chrono::milliseconds stall{30'000};   ///< without a byte of a body, in either direction
  uint64_t slowest_bytes_per_second = 1024;  ///< a body that is slower on average is cut, once it had `stall` to start
  uint32_t head_bytes = 32 << 10;
  uint32_t connections = 10'000;  ///< more are answered with 503
  AddressLimits per_address;
  std::chrono::milliseconds heartbeat{15'000};  ///< a comment line of a silent event stream
  uint64_t bodies_in_memory_bytes = 32 << 20;   ///< of all plain handlers together; more are answered with 503
  unsigned workers = 16;
  std::chrono::milliseconds grace{5'000};  ///< for running requests, after stop()
};

/// What has gone over the sockets since the start; heads count too.
struct Counters {
  std::atomic<uint64_t> requests = 0;
  std::atomic<uint64_t> sent_bytes = 0;
  std::atomic<uint64_t> received_bytes = 0;
  std::atomic<uint64_t> connections = 0;  ///< open now
};

/// The counters in Prometheus' text format.
std::string metrics_text(const Counters& counters);

/// One answered request, for a log. The path comes without its query, which may hold signatures.
struct Served {
  std::string method;
  std::string path;
  int status;
  uint64_t sent_bytes;
  double seconds;
};

struct Options {
  Limits limits;
  /// Turns what a handler threw into a response. A Abort never comes here. Empty: 500 for everything.
  std::function<Response(const Request&, const std::exception&)> explain;
  /// Called after each response, on the thread of run().
  std::function<void(const Served&)> log;
};

class Server {
 public:
  /// The router must outlive the server.
  explicit Server(const Router& router, Options options = {});
  ~Server();

  /// Binds and listens; port 0 takes a free one. Returns the port. Throws Error{io}.
  uint16_t listen(const std::string& host, uint16_t port);
  /// Serves until stop(); once. Waits for running requests for as long as the limits say.
  void run();
  /// From any thread, any number of times.
  void stop();

  const Counters& counters() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace depickle::server::http
