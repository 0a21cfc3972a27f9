// The limits for one client.
#include <sys/resource.h>

#include <chrono>

#include "server/http/pace.h"
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

/// The start of a request with a body of 1000 bytes, of which `sent` are sent.
std::string unfinished(std::string_view sender, size_t sent) {
  return "POST /echo?" + std::string(sender) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" +
         std::string(sent, 'x');
}

size_t files_in(const std::filesystem::path& folder) {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

/// A server whose temporary files are in a folder of their own.
class BodiesTest : public ServerTest {
 protected:
  BodiesTest() { std::filesystem::create_directory(folder_); }
  ~BodiesTest() override {
    running_.reset();
    std::filesystem::remove_all(folder_);
  }
  RunningServer& running_with(uint64_t memory_bytes, uint64_t users_bytes, uint64_t anonymous_bytes) {
    return running({.bodies = {memory_bytes, users_bytes, anonymous_bytes, folder_}});
  }
  /// Sends the start of a request and waits until the server has stored it in a file.
  Socket stored(RunningServer& server, std::string_view sender) {
    size_t before = files_in(folder_);
    Socket socket(server.port);
    socket.send(unfinished(sender, 900));
    wait_until([&] { return files_in(folder_) != before; });
    return socket;
  }
  std::filesystem::path folder_ = path_.string() + "-bodies";
};

TEST_F(BodiesTest, LongBodiesAreInTemporaryFilesUntilTheyAreComplete) {
  RunningServer& server = running_with(100, 8000, 8000);
  {
    Socket socket = stored(server, "");
    EXPECT_EQ(files_in(folder_), 1u);
    socket.send(std::string(100, 'y'));
    EXPECT_EQ(read_answer(socket).body, std::string(900, 'x') + std::string(100, 'y'));
    EXPECT_EQ(files_in(folder_), 0u);
    Socket aborted = stored(server, "");
  }
  wait_until([&] { return server.server.counters().connections == 0; });
  EXPECT_EQ(files_in(folder_), 0u);
}

TEST_F(BodiesTest, AnAnonymousClientCannotUseUpWhatUsersNeed) {
  RunningServer& server = running_with(100, 8000, 8000);
  std::vector<Socket> anonymous;
  for (int i = 0; i < 8; ++i) anonymous.push_back(stored(server, "address=10.0.0." + std::to_string(i / 2)));
  EXPECT_EQ(ask(server.port, unfinished("address=10.0.0.9", 900)).status, 503) << "all addresses have used up theirs";
  EXPECT_EQ(ask(server.port, unfinished("user=me", 1000)).status, 200);
  EXPECT_EQ(ask(server.port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}").status, 200)
      << "small bodies need no share";
  anonymous.clear();
  wait_until([&] { return server.server.counters().connections == 0; });
  EXPECT_EQ(ask(server.port, unfinished("address=10.0.0.9", 1000)).status, 200) << "the bytes were given back";
}

TEST_F(BodiesTest, OneSenderUsesAtMostAQuarter) {
  RunningServer& server = running_with(100, 8000, 8000);
  for (std::string sender : {"user=a", "address=10.0.0.1"}) {
    wait_until([&] { return files_in(folder_) == 0; });
    Socket first = stored(server, sender), second = stored(server, sender);
    Answer third = ask(server.port, unfinished(sender, 900));
    EXPECT_EQ(third.status, 503);
    EXPECT_EQ(third.field("Retry-After"), "1");
    first.send(std::string(100, 'x'));
    EXPECT_EQ(read_answer(first).status, 200);
    EXPECT_EQ(ask(server.port, unfinished(sender, 1000)).status, 200);
  }
  EXPECT_EQ(ask(server.port, unfinished("user=b", 1000)).status, 200);
}

TEST_F(BodiesTest, NoByteOfABodyIsReadBeforeTheSenderIsChecked) {
  RunningServer& server = running_with(100, 8000, 8000);
  for (std::string request : {"PUT /rejected", "POST /nothing", "PUT /hello"}) {
    Socket socket(server.port);
    socket.send(request + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    int expected = request == "PUT /rejected" ? 403 : request == "POST /nothing" ? 404 : 405;
    EXPECT_EQ(read_answer(socket).status, expected) << request;
  }
  EXPECT_EQ(files_in(folder_), 0u);
}

TEST_F(ServerTest, AHandlerWithoutABodyGetsNone) {
  router_.add("POST", "/empty", [](Request& request) { return respond(200, "<" + request.body + ">", "text/plain"); });
  Socket socket(running().port);
  socket.send("POST /empty HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc");
  Answer answer = read_answer(socket);
  EXPECT_EQ(answer.body, "<>");
  EXPECT_EQ(answer.field("Connection"), "close") << "the rest of the body is not the next request";
}

TEST_F(ServerTest, ADroppedBodyIsReadAndLimited) {
  Socket socket(running().port);
  for (int i = 0; i < 2; ++i) {
    socket.send("POST /dropped HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'));
    EXPECT_EQ(read_answer(socket).body, "dropped");
  }
  EXPECT_EQ(ask(running_->port, "POST /dropped HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n").status, 413);
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

TEST_F(ServerTest, ClosesTheConnectionOfABodyThatIsFastFirstAndSlowAfterwards) {
  RunningServer& server = running({.stall = milliseconds(300), .min_bytes_per_second = 1000});
  Socket socket(server.port);
  // At the average rate these bytes would be enough for 100 s.
  socket.send("PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + std::string(100'000, 'x'));
  auto start = std::chrono::steady_clock::now();
  while (!socket.is_readable_within(100) && std::chrono::steady_clock::now() - start < std::chrono::seconds(5))
    socket.send("x");
  EXPECT_EQ(socket.read_all(), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

TEST_F(ServerTest, ClosesTheConnectionOfAReaderThatIsFastFirstAndSlowAfterwards) {
  std::ofstream(path_, std::ios::binary) << std::string(30'000'000, 'x');
  RunningServer& server = running({.stall = milliseconds(300), .min_bytes_per_second = 1'000'000});
  Socket socket(server.port);
  socket.send(get("/file"));
  EXPECT_EQ(socket.read_bytes(10'000'000).size(), 10'000'000u);
  auto start = std::chrono::steady_clock::now();
  while (
      server.server.counters().connections > 0 && std::chrono::steady_clock::now() - start < std::chrono::seconds(5)) {
    socket.read_bytes(2000);
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(server.server.counters().connections, 0u);
}

TEST(Pace, CountsOnlyTheTimeThatTheServerWaits) {
  using std::chrono::seconds;
  Pace pace(seconds(30), 1000);
  pace.moved(1'000'000);
  EXPECT_EQ(pace.allowed(), seconds(30)) << "bytes are not saved for later";
  for (int i = 0; i < 10; ++i) {
    pace.waited(seconds(20));
    EXPECT_EQ(pace.allowed(), seconds(10));
    pace.moved(20'000);
    EXPECT_EQ(pace.allowed(), seconds(30)) << "1000 bytes per second suffice for ever";
  }
  pace.waited(seconds(25));
  pace.moved(1);
  EXPECT_LT(pace.allowed(), milliseconds(5010));
  pace.waited(seconds(25));
  EXPECT_EQ(pace.allowed(), seconds(0));
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
  wait_until([&] { return server.server.counters().connections >= count; });
  EXPECT_EQ(ask(server.port, get("/hello")).status, 503) << "above the limit";
  idle.front().send(get("/hello"));
  EXPECT_EQ(read_answer(idle.front()).body, "hello");
  idle.pop_back();
  wait_until([&] { return server.server.counters().connections < count; });
  EXPECT_EQ(ask(server.port, get("/hello")).status, 200) << "below the limit again";
}

}  // namespace
}  // namespace depickle::server::http
