// The state that all connections of a server share. Inside the server only. Used on the thread of run() except where
// noted.
#pragma once

#include <algorithm>
#include <unordered_set>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "server/http/server.h"
#include "server/http/turns.h"
#include "server/http/workers.h"

namespace depickle::server::http {

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

struct Server::State {
  class Connection;

  State(const Router& router_, Options options_)
      : router(router_),
        options(std::move(options_)),
        addresses(options.limits.per_address),
        body_budget(options.limits.bodies),
        turns(context, std::max(1u, options.limits.slow_workers / 2)),
        quick(options.limits.workers),
        slow(options.limits.slow_workers) {}

  awaitable<void> accept();
  void take(tcp::socket socket);
  /// Logs an exception that has no request.
  void report(const std::exception& problem);
  awaitable<void> watch();
  void begin_stop();

  const Router& router;  // used on workers too
  Options options;
  Counters counters;
  Addresses addresses;
  BodyBudget body_budget;  // used on workers too
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer tick{context};
  std::unordered_set<Connection*> connections;
  bool stopping = false;
  Clock::time_point stop_by = Clock::time_point::max();
  Turns turns;  // on the slow workers
  // Last, so destroyed first: their tasks use the other members.
  Workers quick, slow;
};

}  // namespace depickle::server::http
