// One connection: a coroutine that reads requests and writes responses, one after the other. Inside the server only.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "server/http/parser.h"
#include "server/http/state.h"

namespace depickle::server::http {

/// Whatever may take long (handlers, disks, bodies) is handed to a worker while the coroutine waits.
class Server::State::Connection : public std::enable_shared_from_this<Server::State::Connection> {
 public:
  /// `peer` has been counted in server.addresses, and is discounted at the end.
  Connection(State& server, tcp::socket socket, std::string peer);
  ~Connection();

  static awaitable<void> serve(std::shared_ptr<Connection> self);

  /// Wakes the coroutine with an end of stream. (Closing would give the descriptor to somebody else while a worker uses it.)
  void cut();
  bool is_late(Clock::time_point now) const { return now >= deadline_; }
  bool is_idle() const { return idle_; }

 private:
  int socket() { return socket_.native_handle(); }
  const Limits& limits() const { return server_.options.limits; }

  awaitable<void> wait(tcp::socket::wait_type what, Clock::time_point deadline);
  /// By when the next byte of a body must have moved: soon, and early enough for the average to be bearable.
  Clock::time_point body_deadline(Clock::time_point start, uint64_t moved) const;
  /// More bytes into input_; false where the client is gone.
  awaitable<bool> receive_more(Clock::time_point deadline);
  /// False where the client leaves or is too slow, or no further request is wanted.
  awaitable<bool> read_head();
  /// Where the client has asked too often: what it is told.
  std::optional<Response> rate_limited();

  std::unique_ptr<Receiver> open(Request& request);
  Response explain(const Request& request) const;
  /// Reads the body and runs the handler. Empty where the client is gone.
  awaitable<std::optional<Response>> handle();
  /// One request, from its head on; whether another may follow.
  awaitable<bool> answer();

  /// Returns how many bytes were sent; throws where the client is gone.
  awaitable<uint64_t> send_response(Response& response, bool keep_alive);
  awaitable<void> write(std::string_view bytes, bool more);
  awaitable<void> write_file(FileRange range);
  awaitable<void> write_chunks(const Pull& pull);
  awaitable<void> write_events(std::shared_ptr<EventStream> stream);
  /// Until `wake` is called, the client leaves or `silence` has passed.
  awaitable<void> wait_for_events(std::chrono::milliseconds silence);
  void watch_for_leaving();
  void count_sent(uint64_t bytes);

  /// A client that is still sending a body nobody wants reads its answer only afterwards, or never if the connection is reset under it:
  /// so the rest of the body is taken and thrown away, for a while.
  awaitable<void> drain_body();

  State& server_;
  tcp::socket socket_;
  std::string peer_;
  std::string input_;  ///< received, not used yet
  std::unique_ptr<RequestParser> parser_;
  std::optional<Response> early_;  ///< the answer to a head that cannot be read
  Clock::time_point deadline_ = Clock::time_point::max();
  uint64_t sent_bytes_ = 0;
  bool idle_ = false;
  struct Events;  ///< what an event stream waits with
  std::shared_ptr<Events> events_;
};

}  // namespace depickle::server::http
