#include <atomic>
#include <mutex>

#include <gmock/gmock.h>

#include "running.h"

namespace depickle::server::http {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

struct Board {
  std::mutex mutex;
  std::vector<std::function<void()>> wakes;
  std::string text;
  std::atomic<int> streams = 0;
  bool over = false;

  void publish(std::string_view more, bool last = false) {
    std::lock_guard lock(mutex);
    text += more;
    over = last;
    for (auto& wake : wakes) wake();
  }
};

class BoardStream final : public EventStream {
 public:
  explicit BoardStream(Board& board) : board_(board) { ++board_.streams; }
  ~BoardStream() override {
    std::lock_guard lock(board_.mutex);
    board_.wakes.clear();
    --board_.streams;
  }
  void subscribe(std::function<void()> wake) override {
    std::lock_guard lock(board_.mutex);
    board_.wakes.push_back(std::move(wake));
  }
  bool take(std::string& out) override {
    std::lock_guard lock(board_.mutex);
    out += board_.text.substr(seen_);
    seen_ = board_.text.size();
    return !board_.over;
  }

 private:
  Board& board_;
  size_t seen_ = 0;
};

class StreamTest : public testing::Test {
 protected:
  StreamTest() {
    router_.add("GET", "/events", [this](Request&) {
      Response answer;
      answer.body = std::make_shared<BoardStream>(board_);
      return answer;
    });
    router_.add("GET", "/hello", [](Request& request) { return respond(200, request.peer, "text/plain"); });
  }
  void wait_for(int streams) {
    for (int i = 0; i < 2000 && board_.streams != streams; ++i) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_EQ(board_.streams, streams);
  }
  Board board_;
  Router router_;
};

TEST_F(StreamTest, SendsEventsAtOnceAndEnds) {
  RunningServer server(router_);
  Socket socket(server.port);
  socket.send(get("/events"));
  EXPECT_THAT(socket.read_until("\r\n\r\n"), HasSubstr("chunked"));
  board_.publish("one\n\n");
  EXPECT_THAT(socket.read_until("one\n\n"), HasSubstr("one\n\n"));
  board_.publish("two\n\n", true);
  EXPECT_THAT(socket.read_all(), testing::EndsWith("two\n\n\r\n0\r\n\r\n"));
  wait_for(0);
}

TEST_F(StreamTest, UsesNoWorkerAndSendsHeartbeats) {
  RunningServer server(router_, {.limits = {.heartbeat = milliseconds(50), .workers = 1}});
  std::vector<Socket> sockets;
  for (int i = 0; i < 50; ++i) sockets.emplace_back(server.port);
  for (Socket& socket : sockets) socket.send(get("/events"));
  wait_for(50);
  EXPECT_EQ(ask(server.port, get("/hello")).body, "127.0.0.1");
  EXPECT_THAT(sockets.front().read_until(": \n\n"), HasSubstr(": \n\n"));
}

TEST_F(StreamTest, EndsWhenTheClientDisconnects) {
  RunningServer server(router_);
  {
    Socket socket(server.port);
    socket.send(get("/events"));
    wait_for(1);
  }
  wait_for(0);
}

TEST_F(StreamTest, EndsIfTheClientDoesNotRead) {
  RunningServer server(router_, {.limits = {.stall = milliseconds(200), .min_bytes_per_second = 100'000'000}});
  Socket socket(server.port);
  socket.send(get("/events"));
  wait_for(1);
  board_.publish(std::string(32 << 20, 'x'));
  wait_for(0);
}

TEST_F(StreamTest, DoesNotDelayAStop) {
  auto server = std::make_unique<RunningServer>(router_);
  Socket socket(server->port);
  socket.send(get("/events"));
  wait_for(1);
  auto start = std::chrono::steady_clock::now();
  server.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(1000));
}

TEST(Addresses, HaveATokenBucket) {
  Addresses addresses({.connections = 2, .requests_per_second = 10, .burst = 3});
  Addresses::Clock::time_point now{std::chrono::hours(1)};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(addresses.request("192.0.2.1", now).count(), 0);
  EXPECT_EQ(addresses.request("192.0.2.1", now).count(), 1);
  EXPECT_EQ(addresses.request("192.0.2.2", now).count(), 0) << "another address";
  EXPECT_EQ(addresses.request("192.0.2.1", now + milliseconds(100)).count(), 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(addresses.request("127.0.0.1", now).count(), 0) << "loopback";
  EXPECT_TRUE(addresses.connect("2001:db8::1") && addresses.connect("2001:db8::2"));
  EXPECT_FALSE(addresses.connect("2001:db8::3")) << "same /64 network";
  EXPECT_TRUE(addresses.connect("2001:db8:1::1"));
  addresses.disconnect("2001:db8::1");
  EXPECT_TRUE(addresses.connect("2001:db8::3"));
  for (const char* address : {"2001:db8::2", "2001:db8::3", "2001:db8:1::1"}) addresses.disconnect(address);
  addresses.remove_idle(now + std::chrono::minutes(1));
  EXPECT_EQ(addresses.size(), 0u);
}

TEST_F(StreamTest, RateLimitedRequestsGetRetryAfter) {
  RunningServer server(
      router_, {.limits = {.per_address = {.requests_per_second = 0.1, .burst = 2, .loopback_is_exempt = false}}});
  Socket socket(server.port);
  for (int i = 0; i < 3; ++i) socket.send(get("/hello"));
  EXPECT_EQ(read_answer(socket).status, 200);
  EXPECT_EQ(read_answer(socket).status, 200);
  Answer third = read_answer(socket);
  EXPECT_EQ(third.status, 429);
  EXPECT_EQ(third.field("Retry-After"), "10");
}

}  // namespace
}  // namespace depickle::server::http
