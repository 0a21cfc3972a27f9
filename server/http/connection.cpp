#include "server/http/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>

#include "server/http/transfer.h"
#include "server/http/whole_body.h"

namespace depickle::server::http {
namespace {

/// Files up to this size leave in one write with their head.
constexpr uint64_t kSmallFileBytes = 64 << 10;

void read_small_file(Response& response) {
  auto* range = std::get_if<FileRange>(&response.body);
  if (!range || range->length > kSmallFileBytes) return;
  std::string content(range->length, '\0');
  ssize_t count = ::pread(range->file->descriptor(), content.data(), content.size(), static_cast<off_t>(range->offset));
  if (count == static_cast<ssize_t>(content.size())) response.body = std::move(content);
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
    // One co_await a condition: g++ 12 evaluates both sides of an && that has two.
    bool more = true;
    while (more) {
      more = co_await self->read_head();
      if (more) more = co_await self->answer();
    }
  } catch (const std::exception&) {
    // The socket broke, or a body did half-way: there is nobody left to tell.
  }
}

void Server::State::Connection::cut() { ::shutdown(socket(), SHUT_RDWR); }

awaitable<void> Server::State::Connection::wait(tcp::socket::wait_type what, Clock::time_point deadline) {
  deadline_ = deadline;
  co_await socket_.async_wait(what, use_awaitable);
  deadline_ = Clock::time_point::max();
}

Clock::time_point Server::State::Connection::body_deadline(Clock::time_point start, uint64_t moved) const {
  auto soon = Clock::now() + limits().stall;
  auto average = start + limits().stall + std::chrono::seconds(moved / limits().slowest_bytes_per_second);
  return std::min(soon, average);
}

awaitable<bool> Server::State::Connection::receive_more(Clock::time_point deadline) {
  Flow flow = Flow::blocked;
  uint64_t moved = 0;
  while (flow == Flow::blocked) {
    co_await wait(tcp::socket::wait_read, deadline);
    flow = receive(socket(), input_, 16 << 10, moved);
  }
  server_.counters.received_bytes += moved;
  co_return flow != Flow::gone;
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
      if (parser_->head_done()) co_return true;
      if (!co_await receive_more(deadline)) co_return false;
    }
  } catch (const Abort& refusal) {
    early_ = refusal.response();
    co_return true;
  }
}

std::optional<Response> Server::State::Connection::rate_limited() {
  std::chrono::seconds later = server_.addresses.request(peer_, Clock::now());
  if (later.count() == 0) return std::nullopt;
  return server_.router.error(429, "too many requests from this address")
      .with("Retry-After", std::to_string(later.count()));
}

std::unique_ptr<Receiver> Server::State::Connection::open(Request& request) {
  Router::Match match = server_.router.find(request);
  if (match.route.opener) return match.route.opener(request);
  return std::make_unique<WholeBody>(request, match, server_.held_bodies_bytes, limits().bodies_in_memory_bytes);
}

Response Server::State::Connection::explain(const Request& request) const {
  try {
    throw;
  } catch (const Abort& refusal) {
    return refusal.response();
  } catch (const std::exception& problem) {
    return server_.options.explain ? server_.options.explain(request, problem) : plain_error(500, "the server failed");
  }
}

awaitable<std::optional<Response>> Server::State::Connection::handle() {
  Request& request = parser_->request();
  request.peer = peer_;
  std::unique_ptr<Receiver> receiver;
  std::optional<Response> response;
  // Each step runs on a worker, and what goes wrong in it is the answer.
  auto step = [&](auto&& work) {
    return [&, work] {
      try {
        work();
      } catch (...) {
        response = explain(request);
      }
      if (response || parser_->done()) receiver.reset();
      if (response) read_small_file(*response);
    };
  };
  co_await server_.workers.run(step([&] {
    receiver = open(request);
    if (parser_->done()) response = receiver->finish();
  }));
  if (!response && parser_->expects_continue() && input_.empty())
    co_await write("HTTP/1.1 100 Continue\r\n\r\n", false);
  Clock::time_point start = Clock::now();
  uint64_t moved = 0;
  Flow flow = Flow::again;
  while (!response && flow != Flow::gone) {
    if (flow == Flow::blocked) co_await wait(tcp::socket::wait_read, body_deadline(start, moved));
    uint64_t before = moved;
    co_await server_.workers.run(step([&] {
      flow = receive_body(socket(), *parser_, input_, *receiver, moved);
      if (flow == Flow::done) response = receiver->finish();
    }));
    server_.counters.received_bytes += moved - before;
  }
  co_return response;
}

awaitable<bool> Server::State::Connection::answer() {
  Clock::time_point start = Clock::now();
  bool is_early = early_.has_value();
  std::optional<Response> response = std::move(early_);
  early_.reset();
  if (!response) response = rate_limited();
  if (!response) response = co_await handle();
  if (!response) co_return false;
  // After a head that cannot be read, nobody knows where the next one begins.
  bool again = !is_early && parser_->done() && parser_->keeps_alive() && !server_.stopping &&
               !std::holds_alternative<std::shared_ptr<EventStream>>(response->body);
  ++server_.counters.requests;
  uint64_t sent = co_await send_response(*response, again);
  const Request& request = parser_->request();
  if (server_.options.log)
    server_.options.log({request.method, std::string(request.raw_path()), response->status, sent,
        std::chrono::duration<double>(Clock::now() - start).count()});
  if (is_early || !parser_->done()) co_await drain_body();
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
