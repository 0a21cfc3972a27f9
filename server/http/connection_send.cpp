// The part of a connection that writes responses.
#include <sys/socket.h>

#include <atomic>

#include <fmt/format.h>
#include <boost/asio/redirect_error.hpp>

#include "server/http/connection.h"
#include "server/http/transfer.h"

namespace depickle::server::http {

namespace {

/// A response with this status has no body. A Content-Length would be that of the body of a 200.
bool is_bodiless(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

/// Wakes a coroutine that waits for events. A late wake() may keep it alive after the connection.
struct Server::State::Connection::EventWaiter {
  explicit EventWaiter(asio::io_context& context) : timer(context) {}
  void notify() { timer.cancel(); }

  asio::steady_timer timer;
  std::atomic<bool> woken = false;
  bool closed = false;  ///< by the client
};

awaitable<uint64_t> Server::State::Connection::send_response(Response& response, bool keep_alive) {
  auto* text = std::get_if<std::string>(&response.body);
  auto* range = std::get_if<FileRange>(&response.body);
  std::optional<uint64_t> length;
  if (text) length = text->size();
  if (range) length = range->length;
  if (is_bodiless(response.status)) length.reset();
  std::string head = response_head(response, length, keep_alive);
  uint64_t before = sent_bytes_;
  const bool is_head = (parser_->is_head_done() && parser_->request().method == "HEAD") || is_bodiless(response.status);
  if (text && !is_head) head += *text;
  co_await write(head, range && !is_head);
  if (is_head) co_return sent_bytes_ - before;
  if (range) co_await write_file(*range);
  if (auto* pull = std::get_if<Pull>(&response.body)) co_await write_chunks(*pull);
  if (auto* events = std::get_if<std::shared_ptr<EventStream>>(&response.body))
    co_await write_events(std::move(*events));
  co_return sent_bytes_ - before;
}

awaitable<void> Server::State::Connection::write(std::string_view bytes, bool more) {
  Pace pace = new_pace();
  uint64_t moved_bytes = 0;
  while (true) {
    uint64_t before = moved_bytes;
    Transfer transfer = send(socket(), bytes, more, moved_bytes);
    count_sent(moved_bytes - before);
    if (transfer == Transfer::done) co_return;
    if (transfer == Transfer::closed) throw Error(Code::network, "", "the client has closed the connection");
    pace.moved(moved_bytes - before);
    co_await wait(tcp::socket::wait_write, pace);
  }
}

awaitable<void> Server::State::Connection::write_file(FileRange range) {
  Pace pace = new_pace();
  uint64_t moved_bytes = 0;
  while (true) {
    uint64_t before = moved_bytes;
    Transfer transfer = Transfer::done;
    co_await run(Work::slow, [&] { transfer = send_file(socket(), range, moved_bytes); });
    count_sent(moved_bytes - before);
    if (transfer == Transfer::done) co_return;
    if (transfer == Transfer::closed) throw Error(Code::network, "", "the client has closed the connection");
    pace.moved(moved_bytes - before);
    if (transfer == Transfer::blocked) co_await wait(tcp::socket::wait_write, pace);
  }
}

awaitable<void> Server::State::Connection::write_chunks(const Pull& pull) {
  bool more = true;
  while (more) {
    std::string chunk;
    co_await run(Work::slow, [&] { more = pull_chunk(pull, chunk); });
    co_await write(chunk, more);
  }
}

void Server::State::Connection::count_sent(uint64_t bytes) {
  sent_bytes_ += bytes;
  server_.counters.sent_bytes += bytes;
}

awaitable<void> Server::State::Connection::write_events(std::shared_ptr<EventStream> stream) {
  events_ = std::make_shared<EventWaiter>(server_.context);
  struct Cleanup {
    Connection& connection;
    ~Cleanup() {
      boost::system::error_code ignored;
      connection.socket_.cancel(ignored);  // the wait of watch_for_close()
      connection.idle_ = false;
    }
  } cleanup{*this};
  watch_for_close();
  stream->subscribe([events = events_, executor = server_.context.get_executor()] {
    if (!events->woken.exchange(true)) asio::post(executor, [events] { events->notify(); });
  });
  while (!events_->closed) {
    events_->woken = false;
    std::string text;
    bool more = stream->take(text);
    if (!text.empty()) co_await write(fmt::format("{:x}\r\n{}\r\n", text.size(), text), false);
    if (!more) co_await write("0\r\n\r\n", false);
    if (!more) co_return;
    if (!events_->woken) co_await wait_for_events(limits().heartbeat);
    if (!events_->woken && !events_->closed) co_await write("4\r\n: \n\n\r\n", false);
  }
}

awaitable<void> Server::State::Connection::wait_for_events(std::chrono::milliseconds timeout) {
  boost::system::error_code woken;
  events_->timer.expires_after(timeout);
  idle_ = true;
  co_await events_->timer.async_wait(asio::redirect_error(use_awaitable, woken));
  idle_ = false;
}

void Server::State::Connection::watch_for_close() {
  socket_.async_wait(
      tcp::socket::wait_read, [self = shared_from_this(), events = events_](boost::system::error_code problem) {
        if (problem) return;
        char next;
        ssize_t count = ::recv(self->socket(), &next, 1, MSG_PEEK | MSG_DONTWAIT);
        if (count > 0) return;  // another request, which is not read
        events->closed = true;
        events->notify();
      });
}

}  // namespace depickle::server::http
