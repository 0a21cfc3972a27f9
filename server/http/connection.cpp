#include "server/http/connection.h"

#include <sys/socket.h>

#include <boost/asio/redirect_error.hpp>

#include "server/http/access_guard.h"
#include "server/http/buffered_body.h"
#include "server/http/transfer.h"

namespace depickle::server::http {
namespace {

// Files up to this size are sent in one write with the head.
constexpr uint64_t kSmallFileBytes = 64 << 10;

void read_small_file(Response& response) {
  auto* range = std::get_if<FileRange>(&response.body);
  if (!range || range->length > kSmallFileBytes) return;
  std::string content(range->length, '\0');
  MutableBytes out = std::as_writable_bytes(std::span(content));
  if (os::read_all_at(range->file->descriptor(), range->offset, out, "") == out.size())
    response.body = std::move(content);
}

}  // namespace

Server::State::Connection::Connection(State& server, tcp::socket socket, std::string peer)
    : server_(server),
      socket_(std::move(socket)),
      peer_(std::move(peer)) {
  server_.connections.insert(this);
  ++server_.counters.connections;
}

Server::State::Connection::~Connection() {
  server_.connections.erase(this);
  server_.addresses.disconnect(peer_);
  --server_.counters.connections;
}

awaitable<void> Server::State::Connection::serve(std::shared_ptr<Connection> self) {
  try {
    // g++ 12 evaluates both sides of an && with two co_await.
    bool more = true;
    while (more) {
      more = co_await self->read_head();
      if (more) more = co_await self->answer();
    }
  } catch (const std::exception&) {
    co_return;  // the connection failed, or a body did after its head was sent: the client cannot be told
  }
}

void Server::State::Connection::shut_down() { ::shutdown(socket(), SHUT_RDWR); }

awaitable<void> Server::State::Connection::wait(tcp::socket::wait_type what, Clock::time_point deadline) {
  deadline_ = deadline;
  co_await socket_.async_wait(what, use_awaitable);
  deadline_ = Clock::time_point::max();
}

Clock::time_point Server::State::Connection::body_deadline(Clock::time_point start, uint64_t moved_bytes) const {
  auto next_byte = Clock::now() + limits().stall;
  auto average = start + limits().stall + std::chrono::seconds(moved_bytes / limits().min_bytes_per_second);
  return std::min(next_byte, average);
}

awaitable<bool> Server::State::Connection::receive_more(Clock::time_point deadline) {
  Transfer transfer = Transfer::blocked;
  uint64_t moved_bytes = 0;
  while (transfer == Transfer::blocked) {
    co_await wait(tcp::socket::wait_read, deadline);
    transfer = receive(socket(), input_, 16 << 10, moved_bytes);
  }
  server_.counters.received_bytes += moved_bytes;
  co_return transfer != Transfer::closed;
}

awaitable<bool> Server::State::Connection::read_head() {
  parser_.reset();
  if (input_.empty()) {
    input_.shrink_to_fit();
    if (server_.stopping) co_return false;
    idle_ = true;
    bool more = co_await receive_more(Clock::now() + limits().idle);
    idle_ = false;
    if (!more) co_return false;
  }
  parser_ = std::make_unique<RequestParser>(limits().head_bytes);
  Clock::time_point deadline = Clock::now() + limits().head;
  try {
    while (true) {
      input_.erase(0, parser_->put_head(input_));
      if (parser_->is_head_done()) co_return true;
      if (!co_await receive_more(deadline)) co_return false;
    }
  } catch (const Abort& abort) {
    head_error_ = abort.response();
    co_return true;
  }
}

std::optional<Response> Server::State::Connection::rate_limited() {
  std::string& client = parser_->request().peer;
  client = client_address(parser_->request(), peer_, server_.options.trusted_proxies);
  std::chrono::seconds wait = server_.addresses.request(client, Clock::now());
  if (wait.count() == 0) return std::nullopt;
  return server_.router.error(429, "too many requests from this address")
      .with("Retry-After", std::to_string(wait.count()));
}

std::unique_ptr<Receiver> Server::State::Connection::open(Request& request) {
  Router::Match match = server_.router.find(request);
  if (match.route.opener) return match.route.opener(request);
  return std::make_unique<BufferedBody>(request, match, server_.buffered_bodies_bytes, limits().buffered_bodies_bytes);
}

Response Server::State::Connection::explain(const Request& request) const {
  try {
    throw;
  } catch (const Abort& abort) {
    return abort.response();
  } catch (const std::exception& problem) {
    return server_.options.explain ? server_.options.explain(request, problem)
                                   : plain_error(500, "internal server error");
  }
}

awaitable<std::optional<Response>> Server::State::Connection::handle() {
  Request& request = parser_->request();
  std::unique_ptr<Receiver> receiver;
  std::optional<Response> response;
  // Each step runs on a worker. An exception becomes the response.
  auto step = [&](auto&& work) {
    return [&, work] {
      try {
        work();
        if (response) read_small_file(*response);
      } catch (...) {
        response = explain(request);
      }
      if (response || parser_->is_done()) receiver.reset();
    };
  };
  co_await server_.workers.run(step([&] {
    receiver = open(request);
    if (parser_->is_done()) response = receiver->finish();
  }));
  if (!response && parser_->expects_continue() && input_.empty())
    co_await write("HTTP/1.1 100 Continue\r\n\r\n", false);
  Clock::time_point start = Clock::now();
  uint64_t moved_bytes = 0;
  Transfer transfer = Transfer::again;
  while (!response && transfer != Transfer::closed) {
    if (transfer == Transfer::blocked) co_await wait(tcp::socket::wait_read, body_deadline(start, moved_bytes));
    uint64_t before = moved_bytes;
    co_await server_.workers.run(step([&] {
      transfer = receive_body(socket(), *parser_, input_, *receiver, moved_bytes);
      if (transfer == Transfer::done) response = receiver->finish();
    }));
    server_.counters.received_bytes += moved_bytes - before;
  }
  co_return response;
}

awaitable<bool> Server::State::Connection::answer() {
  Clock::time_point start = Clock::now();
  bool is_bad_head = head_error_.has_value();
  std::optional<Response> response = std::move(head_error_);
  head_error_.reset();
  if (!response) response = rate_limited();
  if (!response) response = co_await handle();
  if (!response) co_return false;
  // After a head that cannot be parsed, the start of the next one is unknown.
  bool again = !is_bad_head && parser_->is_done() && parser_->keeps_alive() && !server_.stopping &&
               !std::holds_alternative<std::shared_ptr<EventStream>>(response->body);
  ++server_.counters.requests;
  uint64_t sent = co_await send_response(*response, again);
  const Request& request = parser_->request();
  if (server_.options.log)
    server_.options.log({request.method, std::string(request.raw_path()), response->status, sent,
        std::chrono::duration<double>(Clock::now() - start).count()});
  if (is_bad_head || !parser_->is_done()) co_await drain_body();
  co_return again;
}

awaitable<void> Server::State::Connection::drain_body() {
  ::shutdown(socket(), SHUT_WR);
  Clock::time_point deadline = Clock::now() + limits().head;
  while (Clock::now() < deadline) {
    input_.clear();
    if (!co_await receive_more(deadline)) co_return;
  }
}

}  // namespace depickle::server::http
