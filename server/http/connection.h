// One connection: a coroutine that reads requests and writes responses in order. Inside the server only.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "server/http/pace.h"
#include "server/http/parser.h"
#include "server/http/state.h"

namespace depickle::server::http {

/// Runs everything that can block (handlers, disk access, bodies) on a worker while the coroutine waits.
class Server::State::Connection : public std::enable_shared_from_this<Server::State::Connection> {
 public:
  /// The caller has counted `peer` in server.addresses; the destructor calls disconnect().
  Connection(State& server, tcp::socket socket, std::string peer);
  ~Connection();

  static awaitable<void> serve(std::shared_ptr<Connection> self);

  /// Shuts the socket down, which wakes the coroutine with an end of stream. Does not close it: the descriptor could be
  /// reused while a worker still uses it.
  void shut_down();
  bool is_late(Clock::time_point now) const { return now >= deadline_; }
  bool is_idle() const { return idle_; }

 private:
  int socket() { return socket_.native_handle(); }
  const ServerLimits& limits() const { return server_.options.limits; }

  awaitable<void> wait(tcp::socket::wait_type what, Clock::time_point deadline);
  Pace new_pace() const { return {limits().stall, limits().min_bytes_per_second}; }
  /// Waits for as long as the pace allows.
  awaitable<void> wait(tcp::socket::wait_type what, Pace& pace);
  /// Appends received bytes to input_. Returns false if the client has closed the connection.
  awaitable<bool> receive_more(Clock::time_point deadline);
  /// Returns false if the client has closed the connection or the server stops.
  awaitable<bool> read_head();
  /// Sets the client's address in the request. Returns a 429 response if the client exceeds its request rate.
  std::optional<Response> rate_limited();

  Response explain(const Request& request) const;
  /// Runs a task on a worker. Slow tasks of one address take turns.
  template <typename Task>
  awaitable<void> run(Work work, Task task) {
    if (work == Work::quick) {
      co_await server_.quick.run(std::move(task));
    } else {
      Turns::Turn turn = co_await server_.turns.take(parser_->request().peer);
      co_await server_.slow.run(std::move(task));
    }
  }
  struct Handling;
  /// Reads the body and runs the handler. Returns nullopt if the client has closed the connection.
  awaitable<std::optional<Response>> handle();
  /// Passes the body to the receiver, and sets the response at its end. `step` makes a task of a function.
  template <typename Step>
  awaitable<void> receive_body(Handling& handling, const Step& step);
  /// Answers one request whose head is read. Returns whether another may follow.
  awaitable<bool> answer();

  /// Returns the number of bytes sent. Throws if the client has closed the connection.
  awaitable<uint64_t> send_response(Response& response, bool keep_alive);
  awaitable<void> write(std::string_view bytes, bool more);
  awaitable<void> write_file(FileRange range);
  awaitable<void> write_chunks(const Pull& pull);
  awaitable<void> write_events(std::shared_ptr<EventStream> stream);
  /// Waits until `wake` is called, the client closes the connection or `timeout` has passed.
  awaitable<void> wait_for_events(std::chrono::milliseconds timeout);
  void watch_for_close();
  void count_sent(uint64_t bytes);

  /// Reads and discards the rest of a request body for a limited time. A client that is still sending reads its
  /// response only afterwards, and never if the connection is reset before.
  awaitable<void> drain_body();

  State& server_;
  tcp::socket socket_;
  std::string peer_;
  std::string input_;  ///< received bytes that are not parsed yet
  std::unique_ptr<RequestParser> parser_;
  std::optional<Response> head_error_;  ///< the response to a head that cannot be parsed
  Clock::time_point deadline_ = Clock::time_point::max();
  uint64_t sent_bytes_ = 0;
  bool idle_ = false;
  struct EventWaiter;
  std::shared_ptr<EventWaiter> events_;
};

}  // namespace depickle::server::http
