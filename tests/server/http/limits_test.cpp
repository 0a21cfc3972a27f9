// The limits for one client.
#include <sys/resource.h>

#include <chrono>

#include "server_fixture.h"

namespace depickle::server::http {
namespace {

using std::chrono::milliseconds;

TEST_F(ServerTest, LimitsTheBodyOfAPlainHandler) {
  uint16_t port = running().port;
  EXPECT_EQ(
      ask(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x')).status, 200);
  EXPECT_EQ(ask(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n").status, 413);
  EXPECT_EQ(ask(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999\r\n\r\n").status, 413);
  EXPECT_EQ(
      ask(port, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x'))
          .status,
      413);
}

TEST_F(ServerTest, LimitsAllBodiesInMemoryTogether) {
  RunningServer& server = running({.buffered_bodies_bytes = 1500});
  std::string half = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + std::string(900, 'x');
  Socket first(server.port);
  first.send(half);
  while (server.server.counters().received_bytes < half.size()) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(ask(server.port, half).status, 503);
  first.send(std::string(100, 'x'));
  EXPECT_EQ(read_answer(first).status, 200);
  EXPECT_EQ(ask(server.port, half + std::string(100, 'x')).status, 200) << "the memory was released";
}

TEST_F(ServerTest, ClosesTheConnectionOfASlowHead) {
  Socket socket(running({.head = milliseconds(300)}).port);
  auto start = std::chrono::steady_clock::now();
  std::string head = get("/hello", "Long: " + std::string(1000, 'x') + "\r\n");
  size_t sent = 0;
  while (sent < head.size() && !socket.is_readable_within(10)) socket.send(head.substr(sent++, 1));
  EXPECT_EQ(socket.read_all(), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

TEST_F(ServerTest, ClosesTheConnectionOfASlowOrStalledBody) {
  RunningServer& server = running({.stall = milliseconds(300), .min_bytes_per_second = 1000});
  for (bool is_slow : {false, true}) {
    Socket socket(server.port);
    auto start = std::chrono::steady_clock::now();
    socket.send("PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc");
    while (!socket.is_readable_within(20) && std::chrono::steady_clock::now() - start < std::chrono::seconds(5))
      if (is_slow) socket.send("x");
    EXPECT_EQ(socket.read_all(), "");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
  }
}

TEST_F(ServerTest, ClosesTheConnectionOfAStalledReaderAndServesOthers) {
  std::ofstream(path_, std::ios::binary) << std::string(30'000'000, 'x');
  RunningServer& server = running({.stall = milliseconds(500)});
  std::vector<Socket> stuck;
  for (int i = 0; i < 30; ++i) stuck.emplace_back(server.port).send(get("/file"));  // more than the workers
  EXPECT_EQ(ask(server.port, get("/hello")).body, "hello");
  auto start = std::chrono::steady_clock::now();
  while (server.server.counters().connections > 0 && std::chrono::steady_clock::now() - start < std::chrono::seconds(5))
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(server.server.counters().connections, 0u);
}

TEST_F(ServerTest, ClosesIdleConnectionsAfterTheTimeout) {
  Socket socket(running({.idle = milliseconds(600)}).port);
  socket.send(get("/hello"));
  EXPECT_EQ(read_answer(socket).status, 200);
  EXPECT_FALSE(socket.is_readable_within(300));
  socket.send(get("/hello"));
  EXPECT_EQ(read_answer(socket).status, 200);
  EXPECT_EQ(socket.read_all(), "");
}

TEST_F(ServerTest, HoldsThousandsOfIdleConnections) {
  struct rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  size_t count = std::min<size_t>(3000, limit.rlim_cur / 2 - 100);  // this process has both ends
  RunningServer& server = running({.connections = static_cast<uint32_t>(count)});
  std::vector<Socket> idle;
  for (size_t i = 0; i < count; ++i) idle.emplace_back(server.port);
  while (server.server.counters().connections < count) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(ask(server.port, get("/hello")).status, 503) << "above the limit";
  idle.front().send(get("/hello"));
  EXPECT_EQ(read_answer(idle.front()).body, "hello");
  idle.pop_back();
  while (server.server.counters().connections >= count) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(ask(server.port, get("/hello")).status, 200) << "below the limit again";
}

}  // namespace
}  // namespace depickle::server::http
