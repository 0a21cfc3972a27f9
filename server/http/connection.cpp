#include "server/http/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <utility>

#include <boost/asio/redirect_error.hpp>

#include "server/http/access_guard.h"
#include "server/http/bodies.h"
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

/// Returns whether the client has closed the connection, or the sending half of it.
bool has_closed(int socket) {
  struct pollfd state{socket, POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/// Destroys the body of a response, after it was sent, on a worker.
struct SentResponse {
  ~SentResponse() {
    if (!std::holds_alternative<std::string>(response.body)) workers.destroy(std::exchange(response.body, Body()));
  }
  Workers& workers;
  Response& response;
};

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

awaitable<void> Server::State::Connection::wait(tcp::socket::wait_type what, Pace& pace) {
  Clock::time_point start = Clock::now();
  co_await wait(what, start + pace.allowed());
  pace.waited(Clock::now() - start);
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

/// What a request needs until its response exists.
struct Server::State::Connection::Handling {
  ~Handling() {
    if (receiver) workers.destroy(std::move(receiver));
  }
  Workers& workers;
  std::optional<Router::Match> match;
  std::unique_ptr<Receiver> receiver;
  std::optional<Response> response;
};

awaitable<std::optional<Response>> Server::State::Connection::handle() {
  Request& request = parser_->request();
  request.is_abandoned = [this] { return has_closed(socket()); };
  Handling handling{server_.slow, {}, {}, {}};
  std::optional<Router::Match>& match = handling.match;
  std::unique_ptr<Receiver>& receiver = handling.receiver;
  std::optional<Response>& response = handling.response;
  // Each step runs on a worker. An exception becomes the response.
  auto step = [&](auto&& work) {
    return [&, work] {
      try {
        work();
        if (response) read_small_file(*response);
      } catch (...) {
        response = explain(request);
      }
      if (response) receiver.reset();
    };
  };
  co_await run(Work::quick, step([&] {
    match.emplace(server_.router.find(request));
    const Router::Route& route = match->route;
    if (route.opener) receiver = route.opener(request, Bodies(server_.body_budget, match->router));
    if (!route.opener && route.work == Work::quick) response = route.handler(request);
  }));
  if (!response && !receiver) {
    co_await run(Work::slow, step([&] {
      request.check_client();
      response = match->route.handler(request);
    }));
  }
  if (!response) co_await receive_body(handling, step);
  co_return std::move(response);
}

template <typename Step>
awaitable<void> Server::State::Connection::receive_body(Handling& handling, const Step& step) {
  const Request& request = parser_->request();
  const bool is_small = parser_->is_done() || request.body_bytes.value_or(UINT64_MAX) <= limits().bodies.memory_bytes;
  const Work work = is_small ? handling.match->route.work : Work::slow;
  if (parser_->expects_continue() && input_.empty()) co_await write("HTTP/1.1 100 Continue\r\n\r\n", false);
  Pace pace = new_pace();
  uint64_t moved_bytes = 0;
  Transfer transfer = parser_->is_done() ? Transfer::done : Transfer::again;
  while (!handling.response && transfer != Transfer::closed) {
    if (transfer == Transfer::blocked) co_await wait(tcp::socket::wait_read, pace);
    uint64_t before = moved_bytes;
    co_await run(work, step([&] {
      if (transfer != Transfer::done)
        transfer = http::receive_body(socket(), *parser_, input_, *handling.receiver, moved_bytes);
      if (transfer == Transfer::done) handling.response = handling.receiver->finish();
    }));
    pace.moved(moved_bytes - before);
    server_.counters.received_bytes += moved_bytes - before;
  }
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
  const Request& request = parser_->request();
  const SentResponse sending{server_.slow, *response};
  uint64_t sent = 0;
  try {
    sent = co_await send_response(*response, again);
  } catch (const Error& problem) {
    // The client sees an incomplete body. What the client has caused is not logged.
    if (problem.code() != Code::network && server_.options.explain) server_.options.explain(request, problem);
    throw;
  }
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
