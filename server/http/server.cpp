#include "server/http/server.h"

#include <sys/socket.h>

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>

#include "server/http/bodies.h"
#include "server/http/connection.h"

namespace depickle::server::http {
namespace {

/// Sends as much of a response as the socket takes without waiting.
void reject(tcp::socket& socket, Response response) {
  std::string head = response_head(response.with("Retry-After", "5"), 0, false);
  [[maybe_unused]] ssize_t sent = ::send(socket.native_handle(), head.data(), head.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/// The end of a coroutine. An exception leaves run(), because the server cannot work without the coroutine.
void rethrow(const std::exception_ptr& problem) {
  if (problem) std::rethrow_exception(problem);
}

}  // namespace

std::string metrics_text(const Counters& counters) {
  std::string out;
  auto add = [&](std::string_view name, std::string_view type, uint64_t value) {
    out += fmt::format("# TYPE depickle_http_{0} {1}\ndepickle_http_{0} {2}\n", name, type, value);
  };
  add("requests_total", "counter", counters.requests);
  add("sent_bytes_total", "counter", counters.sent_bytes);
  add("received_bytes_total", "counter", counters.received_bytes);
  add("connections", "gauge", counters.connections);
  return out;
}

awaitable<void> Server::State::accept() {
  while (!stopping) {
    boost::system::error_code problem;
    tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(use_awaitable, problem));
    if (stopping) co_return;
    if (problem) {  // most likely out of file descriptors; retry later
      asio::steady_timer pause(context, std::chrono::milliseconds(50));
      co_await pause.async_wait(use_awaitable);
      continue;
    }
    try {
      take(std::move(socket));
    } catch (const std::exception& failure) {  // out of memory: only this client is affected
      report(failure);
    }
  }
}

void Server::State::report(const std::exception& problem) {
  if (options.explain) options.explain({}, problem);
}

void Server::State::take(tcp::socket socket) {
  boost::system::error_code problem;
  socket.set_option(tcp::no_delay(true), problem);
  socket.native_non_blocking(true, problem);
  std::string peer = socket.remote_endpoint(problem).address().to_string();
  if (problem) return;  // the client has closed the connection
  if (connections.size() >= options.limits.connections) return reject(socket, plain_error(503, ""));
  if (!addresses.connect(peer)) return reject(socket, plain_error(429, ""));
  auto connection = std::make_shared<Connection>(*this, std::move(socket), std::move(peer));
  asio::co_spawn(context, Connection::serve(std::move(connection)), rethrow);
}

/// Shuts down connections that are past their deadline. Keeps run() running until the last connection is closed.
awaitable<void> Server::State::watch() {
  while (!stopping || !connections.empty()) {
    tick.expires_after(std::chrono::milliseconds(stopping ? 10 : 100));
    boost::system::error_code woken;
    co_await tick.async_wait(asio::redirect_error(use_awaitable, woken));
    auto now = Clock::now();
    for (Connection* connection : connections)
      if (connection->is_late(now) || (stopping && connection->is_idle()) || now >= stop_by) connection->shut_down();
    addresses.remove_idle(now);
  }
}

void Server::State::begin_stop() {
  if (stopping) return;
  stopping = true;
  stop_by = Clock::now() + options.limits.grace;
  boost::system::error_code ignored;
  acceptor.close(ignored);
  tick.cancel(ignored);
}

Server::Server(const Router& router, Options options) : state_(std::make_unique<State>(router, std::move(options))) {}
Server::~Server() = default;

uint16_t Server::listen(const std::string& host, uint16_t port) {
  try {
    tcp::resolver resolver(state_->context);
    tcp::endpoint endpoint = resolver.resolve(host, std::to_string(port), tcp::resolver::passive)->endpoint();
    state_->acceptor.open(endpoint.protocol());
    state_->acceptor.set_option(tcp::acceptor::reuse_address(true));
    state_->acceptor.bind(endpoint);
    state_->acceptor.listen(4096);
    return state_->acceptor.local_endpoint().port();
  } catch (const boost::system::system_error& problem) {
    throw Error(Code::io, Reason::port_unavailable,
        fmt::format("cannot listen on {}:{}: {}", host, port, problem.code().message()))
        .with_errno(problem.code().value());
  }
}

void Server::run() {
  asio::co_spawn(state_->context, state_->accept(), rethrow);
  asio::co_spawn(state_->context, state_->watch(), rethrow);
  state_->context.run();
}

void Server::stop() {
  asio::post(state_->context, [state = state_.get()] { state->begin_stop(); });
}

const Counters& Server::counters() const noexcept { return state_->counters; }

}  // namespace depickle::server::http
