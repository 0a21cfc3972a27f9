// Slow work and clients that go away.
#include <atomic>
#include <future>
#include <latch>

#include "server_fixture.h"

namespace depickle::server::http {
namespace {

using std::chrono::milliseconds;

using WorkTest = ServerTest;

TEST_F(WorkTest, QuickWorkDoesNotWaitForSlowWorkAndOneAddressHasHalfOfTheSlowWorkers) {
  std::latch released(1);
  std::atomic<int> running_now = 0, peak = 0;
  router_.add(
      "GET", "/slow",
      [&](Request&) {
        int now = ++running_now;
        for (int seen = peak; seen < now && !peak.compare_exchange_weak(seen, now);) {
        }
        released.wait();
        --running_now;
        return respond(200, "slow", "text/plain");
      },
      Work::slow);
  RunningServer& server = running({.workers = 1, .slow_workers = 4});
  std::vector<Socket> waiting;
  for (int i = 0; i < 20; ++i) waiting.emplace_back(server.port).send(get("/slow"));
  wait_until([&] { return running_now == 2; });
  EXPECT_EQ(ask(server.port, get("/hello")).body, "hello");
  const std::string echo = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nsmall";
  EXPECT_EQ(ask(server.port, echo).body, "small") << "a small body is quick";
  EXPECT_EQ(running_now, 2);
  released.count_down();
  for (Socket& socket : waiting) EXPECT_EQ(read_answer(socket).body, "slow");
  EXPECT_EQ(peak, 2);
}

TEST_F(WorkTest, SlowWorkEndsWhenItsClientHasGone) {
  std::promise<void> started, ended;
  std::atomic<bool> is_over = false;
  router_.add(
      "GET", "/endless",
      [&](Request& request) -> Response {
        started.set_value();
        try {
          while (!is_over) {
            request.check_client();
            std::this_thread::sleep_for(milliseconds(1));
          }
          return respond(200, "");
        } catch (const Abort&) {
          ended.set_value();
          throw;
        }
      },
      Work::slow);
  RunningServer& server = running();
  {
    Socket client(server.port);
    client.send(get("/endless"));
    started.get_future().wait();
  }
  EXPECT_EQ(ended.get_future().wait_for(kDeadline), std::future_status::ready);
  is_over = true;
}

// The end of a receiver deletes its file, which takes long if the file is large.
TEST_F(WorkTest, TheReceiverOfALostConnectionIsDestroyedOnAWorker) {
  struct Lost final : Receiver {
    explicit Lost(std::promise<std::thread::id>& ended_on_) : ended_on(ended_on_) {}
    ~Lost() override { ended_on.set_value(std::this_thread::get_id()); }
    void take(Bytes) override {}
    Response finish() override { return respond(200, ""); }
    std::promise<std::thread::id>& ended_on;
  };
  std::promise<std::thread::id> ended_on;
  std::atomic<std::thread::id> loop;
  router_.add_with_body("PUT", "/lost", [&](Request&, const Bodies&) { return std::make_unique<Lost>(ended_on); });
  running_ = std::make_unique<RunningServer>(
      router_, Options{.log = [&](const AccessLogEntry&) { loop = std::this_thread::get_id(); }});
  ask(running_->port, get("/hello"));
  Socket(running_->port).send("PUT /lost HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
  std::future<std::thread::id> ended = ended_on.get_future();
  ASSERT_EQ(ended.wait_for(kDeadline), std::future_status::ready);
  wait_until([&] { return loop.load() != std::thread::id(); });
  EXPECT_NE(ended.get(), loop.load());
}

}  // namespace
}  // namespace depickle::server::http
