// The only file that knows Boost.Asio. One coroutine a connection, all on the thread of run(); whatever may take long
// (handlers, disks, bodies) is handed to a worker while the coroutine waits.
#include "server/http/server.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <unordered_set>

#include <fmt/format.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/http/parser.h"
#include "server/http/transfer.h"

namespace depickle::server::http {
namespace asio = boost::asio;
namespace {

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

constexpr auto kNever = Clock::time_point::max();
/// Files up to this size leave in one write with their head.
constexpr uint64_t kSmallFileBytes = 64 << 10;

Response plain_error(int status, std::string_view text) {
  return respond(status, fmt::format(R"({{"error":"{}"}})", text));
}

/// Threads that block no signal of the program's: a signal is for the thread of run(), and SIGPIPE for nobody.
class Workers {
 public:
  explicit Workers(unsigned count) : work_(context_.get_executor()) {
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < count; ++i) threads_.emplace_back([this] { context_.run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Workers() {
    work_.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  /// Runs `job` on a worker while the coroutine waits; what it throws is thrown here.
  template <typename Job>
  awaitable<void> run(Job job) {
    std::exception_ptr failure;
    auto start = [&](auto resume) {
      asio::post(context_, [&job, &failure, resume = std::move(resume)]() mutable {
        try {
          job();
        } catch (...) {
          failure = std::current_exception();
        }
        asio::post(std::move(resume));
      });
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, use_awaitable);
    if (failure) std::rethrow_exception(failure);
  }

 private:
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<std::thread> threads_;
};

/// Collects a body for a plain handler, as long as it and all others together are small enough.
class WholeBody final : public Receiver {
 public:
  WholeBody(Request& request, const Router::Route& route, std::atomic<uint64_t>& held, uint64_t most_held)
      : request_(request),
        route_(route),
        held_(held),
        most_held_(most_held) {
    if (request.body_bytes.value_or(0) > route.most_body_bytes) too_large();
  }
  ~WholeBody() override { held_ -= mine_; }

  void take(Bytes block) override {
    if (mine_ + block.size() > route_.most_body_bytes) too_large();
    mine_ += block.size();
    // One body alone may be larger: to say "later" to it would be to say it for ever.
    if (uint64_t held = held_ += block.size(); held > most_held_ && held > mine_)
      throw Refusal(plain_error(503, "too many requests at once").with("Retry-After", "1"), "busy");
    request_.body.append(reinterpret_cast<const char*>(block.data()), block.size());
  }
  Response finish() override { return route_.handler(request_); }

 private:
  [[noreturn]] void too_large() const {
    throw Refusal(
        plain_error(413, fmt::format("the body is too large (at most {} bytes)", route_.most_body_bytes)), "too large");
  }
  Request& request_;
  const Router::Route& route_;
  std::atomic<uint64_t>& held_;
  uint64_t most_held_;
  uint64_t mine_ = 0;
};

}  // namespace

struct Server::State {
  class Connection;

  State(const Router& router_, Options options_)
      : router(router_),
        options(std::move(options_)),
        workers(options.limits.workers) {}

  awaitable<void> accept();
  awaitable<void> watch();
  void begin_stop();

  const Router& router;
  Options options;
  Counters counters;
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer tick{context};
  std::unordered_set<Connection*> connections;
  std::atomic<uint64_t> held_bodies_bytes = 0;
  bool stopping = false;
  Clock::time_point stop_by = kNever;
  Workers workers;  // last: ends first, while all that its jobs use is there
};

class Server::State::Connection {
 public:
  Connection(State& server, tcp::socket socket) : server_(server), socket_(std::move(socket)) {
    server_.connections.insert(this);
    ++server_.counters.connections;
  }
  ~Connection() {
    server_.connections.erase(this);
    --server_.counters.connections;
  }

  static awaitable<void> serve(std::shared_ptr<Connection> self) {
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

  /// Wakes the coroutine with an end of stream. (Closing would give the descriptor to somebody else while a worker uses it.)
  void cut() { ::shutdown(socket(), SHUT_RDWR); }
  bool is_late(Clock::time_point now) const { return now >= deadline_; }
  bool is_idle() const { return idle_; }

 private:
  int socket() { return socket_.native_handle(); }
  const Limits& limits() const { return server_.options.limits; }

  awaitable<void> wait(tcp::socket::wait_type what, Clock::time_point deadline) {
    deadline_ = deadline;
    co_await socket_.async_wait(what, use_awaitable);
    deadline_ = kNever;
  }

  /// By when the next byte of a body must have moved: soon, and early enough for the average to be bearable.
  Clock::time_point body_deadline(Clock::time_point start, uint64_t moved) const {
    auto soon = Clock::now() + limits().stall;
    auto average = start + limits().stall + std::chrono::seconds(moved / limits().slowest_bytes_per_second);
    return std::min(soon, average);
  }

  /// More bytes into input_; false where the client is gone.
  awaitable<bool> receive_more(Clock::time_point deadline) {
    Flow flow = Flow::blocked;
    uint64_t moved = 0;
    while (flow == Flow::blocked) {
      co_await wait(tcp::socket::wait_read, deadline);
      flow = receive(socket(), input_, 16 << 10, moved);
    }
    server_.counters.received_bytes += moved;
    co_return flow != Flow::gone;
  }

  /// False where the client leaves or is too slow, or no further request is wanted.
  awaitable<bool> read_head() {
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
    } catch (const Refusal& refusal) {
      early_ = refusal.response();
      co_return true;
    }
  }

  std::unique_ptr<Receiver> open(Request& request) {
    const Router::Route* route = server_.router.find(request);
    static const Router::Route kUnknown{};
    if (!route && !server_.router.fallback())
      throw Refusal(plain_error(404, "there is nothing at this address"), "not found");
    if (!route) {
      fallback_ = kUnknown;
      fallback_.handler = server_.router.fallback();
      fallback_.most_body_bytes = 64 << 10;
      route = &fallback_;
    }
    if (route->opener) return route->opener(request);
    return std::make_unique<WholeBody>(request, *route, server_.held_bodies_bytes, limits().bodies_in_memory_bytes);
  }

  Response explain(const Request& request) const {
    try {
      throw;
    } catch (const Refusal& refusal) {
      return refusal.response();
    } catch (const std::exception& problem) {
      return server_.options.explain ? server_.options.explain(request, problem)
                                     : plain_error(500, "the server failed");
    }
  }

  /// Reads the body and runs the handler. Empty where the client is gone.
  awaitable<std::optional<Response>> handle() {
    Request& request = parser_->request();
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

  /// One request, from its head on; whether another may follow.
  awaitable<bool> answer() {
    Clock::time_point start = Clock::now();
    bool is_early = early_.has_value();
    std::optional<Response> response = std::move(early_);
    early_.reset();
    if (!response) response = co_await handle();
    if (!response) co_return false;
    // After a head that cannot be read, nobody knows where the next one begins.
    bool again = !is_early && parser_->done() && parser_->keeps_alive() && !server_.stopping;
    ++server_.counters.requests;
    uint64_t sent = co_await send_response(*response, again);
    const Request& request = parser_->request();
    if (server_.options.log)
      server_.options.log({request.method, std::string(request.raw_path()), response->status, sent,
          std::chrono::duration<double>(Clock::now() - start).count()});
    if (is_early || !parser_->done()) co_await linger();
    co_return again;
  }

  static void read_small_file(Response& response) {
    auto* range = std::get_if<FileRange>(&response.body);
    if (!range || range->length > kSmallFileBytes) return;
    std::string content(range->length, '\0');
    ssize_t count =
        ::pread(range->file->descriptor(), content.data(), content.size(), static_cast<off_t>(range->offset));
    if (count == static_cast<ssize_t>(content.size())) response.body = std::move(content);
  }

  /// Returns how many bytes were sent; throws where the client is gone.
  awaitable<uint64_t> send_response(Response& response, bool keep_alive) {
    auto* text = std::get_if<std::string>(&response.body);
    auto* range = std::get_if<FileRange>(&response.body);
    std::optional<uint64_t> length;
    if (text) length = text->size();
    if (range) length = range->length;
    std::string head = response_head(response, length, keep_alive);
    uint64_t before = sent_bytes_;
    bool head_only = parser_->head_done() && parser_->request().method == "HEAD";
    if (text && !head_only) head += *text;
    co_await write(head, range && !head_only);
    if (head_only) co_return sent_bytes_ - before;
    if (range) co_await write_file(*range);
    if (auto* pull = std::get_if<Pull>(&response.body)) co_await write_chunks(*pull);
    co_return sent_bytes_ - before;
  }

  awaitable<void> write(std::string_view bytes, bool more) {
    Clock::time_point start = Clock::now();
    uint64_t moved = 0;
    while (true) {
      uint64_t before = moved;
      Flow flow = send(socket(), bytes, more, moved);
      count_sent(moved - before);
      if (flow == Flow::done) co_return;
      if (flow == Flow::gone) throw Error(Code::network, "", "the client is gone");
      co_await wait(tcp::socket::wait_write, body_deadline(start, moved));
    }
  }

  awaitable<void> write_file(FileRange range) {
    Clock::time_point start = Clock::now();
    uint64_t moved = 0;
    while (true) {
      uint64_t before = moved;
      Flow flow = Flow::done;
      co_await server_.workers.run([&] { flow = send_file(socket(), range, moved); });
      count_sent(moved - before);
      if (flow == Flow::done) co_return;
      if (flow == Flow::gone) throw Error(Code::network, "", "the client is gone");
      if (flow == Flow::blocked) co_await wait(tcp::socket::wait_write, body_deadline(start, moved));
    }
  }

  awaitable<void> write_chunks(const Pull& pull) {
    bool more = true;
    while (more) {
      std::string chunk;
      co_await server_.workers.run([&] { more = pull_chunk(pull, chunk); });
      co_await write(chunk, more);
    }
  }

  void count_sent(uint64_t bytes) {
    sent_bytes_ += bytes;
    server_.counters.sent_bytes += bytes;
  }

  /// A client that is still sending a body nobody wants reads its answer only afterwards, or never if the connection is reset under it:
  /// so the rest of the body is taken and thrown away, for a while.
  awaitable<void> linger() {
    ::shutdown(socket(), SHUT_WR);
    Clock::time_point deadline = Clock::now() + limits().head;
    while (Clock::now() < deadline) {
      input_.clear();
      if (!co_await receive_more(deadline)) co_return;
    }
  }

  State& server_;
  tcp::socket socket_;
  std::string input_;  ///< received, not used yet
  std::unique_ptr<RequestParser> parser_;
  std::optional<Response> early_;  ///< the answer to a head that cannot be read
  Router::Route fallback_;
  Clock::time_point deadline_ = kNever;
  uint64_t sent_bytes_ = 0;
  bool idle_ = false;
};

awaitable<void> Server::State::accept() {
  while (!stopping) {
    boost::system::error_code problem;
    tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(use_awaitable, problem));
    if (stopping) co_return;
    if (problem) {  // out of descriptors, most likely: some will come back
      asio::steady_timer pause(context, std::chrono::milliseconds(50));
      co_await pause.async_wait(use_awaitable);
      continue;
    }
    socket.set_option(tcp::no_delay(true), problem);
    socket.native_non_blocking(true, problem);
    if (connections.size() >= options.limits.connections) {
      std::string full = response_head(plain_error(503, "").with("Retry-After", "5"), 0, false);
      [[maybe_unused]] ssize_t sent =
          ::send(socket.native_handle(), full.data(), full.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      continue;
    }
    asio::co_spawn(context, Connection::serve(std::make_shared<Connection>(*this, std::move(socket))), asio::detached);
  }
}

/// Cuts who is late, and keeps run() running until the last connection is gone.
awaitable<void> Server::State::watch() {
  while (!stopping || !connections.empty()) {
    tick.expires_after(std::chrono::milliseconds(stopping ? 10 : 100));
    boost::system::error_code woken;
    co_await tick.async_wait(asio::redirect_error(use_awaitable, woken));
    auto now = Clock::now();
    for (Connection* connection : connections)
      if (connection->is_late(now) || (stopping && connection->is_idle()) || now >= stop_by) connection->cut();
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
    throw Error(Code::io, "", fmt::format("cannot listen on {}:{}: {}", host, port, problem.code().message()), {},
        "choose another port with --port, or 0 for any free one");
  }
}

void Server::run() {
  asio::co_spawn(state_->context, state_->accept(), asio::detached);
  asio::co_spawn(state_->context, state_->watch(), asio::detached);
  state_->context.run();
}

void Server::stop() {
  asio::post(state_->context, [state = state_.get()] { state->begin_stop(); });
}

const Counters& Server::counters() const noexcept { return state_->counters; }

}  // namespace depickle::server::http
