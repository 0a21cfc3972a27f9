#include "server/http/server.h"

#include <chrono>
#include <map>

#include <gmock/gmock.h>

#include "server/http/target.h"
#include "server_fixture.h"

namespace depickle::server::http {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(ServerTest, HeadHasTheLengthButNoBody) {
  Socket socket(running().port);
  for (std::string_view path : {"/hello", "/file", "/nothing"}) {
    std::string tail = std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    socket.send("GET " + tail);
    Answer get = read_answer(socket);
    socket.send("HEAD " + tail);
    Answer head = read_answer(socket, true);
    EXPECT_EQ(head.status, get.status);
    EXPECT_EQ(head.field("Content-Length"), std::to_string(get.body.size()));
    EXPECT_NE(get.body.size(), 0u);
  }
  socket.send(get("/hello"));
  EXPECT_EQ(read_answer(socket).body, "hello") << "a body after HEAD would be read here";
}

TEST_F(ServerTest, EncodedSlashesDoNotEndASegment) {
  uint16_t port = running().port;
  EXPECT_EQ(ask(port, get("/a/b/resolve/refs%2Fpr%2F1/dir/x%20y.bin?download=true")).body, "refs/pr/1|dir/x y.bin");
  EXPECT_EQ(ask(port, get("/a/b/resolve/refs/pr/12/x")).body, "refs/pr/12|x");
  EXPECT_EQ(ask(port, get("/a/b/resolve/refs/convert/parquet/x")).body, "refs/convert/parquet|x");
  EXPECT_EQ(ask(port, get("/a/b/resolve/main/dir%2Fx")).body, "main|dir/x");
  EXPECT_EQ(ask(port, get("/a/b/resolve/refs/heads/x")).body, "refs|heads/x");
  EXPECT_EQ(ask(port, get("/a/b/resolve/main/%zz")).status, 400);
  EXPECT_EQ(ask(port, get("/a%2Fb/resolve/main/x")).status, 404);
  EXPECT_EQ(ask(port, "PUT /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n").status, 405);
}

TEST_F(ServerTest, ServesRanges) {
  uint16_t port = running().port;
  struct Case {
    std::string_view range;
    int status;
    std::string body, content_range;
  };
  uint64_t size = content_.size();
  std::string of = "/" + std::to_string(size);
  for (const Case& one : std::vector<Case>{
           {"bytes=0-0", 206, content_.substr(0, 1), "bytes 0-0" + of},
           {"bytes=1000-", 206, content_.substr(1000), "bytes 1000-299999" + of},
           {"bytes=-5", 206, content_.substr(size - 5), "bytes 299995-299999" + of},
           {"bytes=299990-999999999", 206, content_.substr(299990), "bytes 299990-299999" + of},
           {"bytes=-999999999", 206, content_, "bytes 0-299999" + of},
           {"bytes=300000-", 416, "", "bytes */300000"},
           {"bytes=-0", 416, "", "bytes */300000"},
           {"bytes=5-2", 200, content_, ""},
           {"bytes=0-1,5-6", 200, content_, ""},
           {"bytes=18446744073709551616-", 200, content_, ""},
           {"lines=0-1", 200, content_, ""},
       }) {
    Answer answer = ask(port, get("/file", "Range: " + std::string(one.range) + "\r\n"));
    EXPECT_EQ(answer.status, one.status) << one.range;
    EXPECT_TRUE(answer.body == one.body) << one.range;
    EXPECT_EQ(answer.field("Content-Range"), one.content_range);
  }
  EXPECT_EQ(ask(port, get("/small", "Range: bytes=2-4\r\n")).body, "234");
  EXPECT_EQ(ask(port, get("/small", "Range: bytes=2-4\r\nIf-Range: \"tag\"\r\n")).body, "234");
  EXPECT_EQ(ask(port, get("/small", "Range: bytes=2-4\r\nIf-Range: \"other\"\r\n")).body, "0123456789");
}

TEST_F(ServerTest, Takes100MegabytesWithContentLengthAndChunked) {
  uint16_t port = running().port;
  std::string block(1'000'000, '\0');
  for (size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 13);
  Counting expected;
  for (int i = 0; i < 100; ++i) expected.take(std::as_bytes(std::span(block.data(), block.size())));
  std::string sum = std::get<std::string>(expected.finish().body);

  Socket by_length(port);
  by_length.send("PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n");
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(by_length.send(block));
  EXPECT_EQ(read_answer(by_length).body, sum);

  Socket chunked(port);
  chunked.send("PUT /sink HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(chunked.send("f4240;name=value\r\n" + block + "\r\n"));
  chunked.send("0\r\nTrailer: x\r\n\r\n" + get("/hello"));
  EXPECT_EQ(read_answer(chunked).body, sum);
  EXPECT_EQ(read_answer(chunked).body, "hello") << "the next request follows the last chunk";
  EXPECT_GT(running_->server.counters().received_bytes, 200'000'000u);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  Socket socket(running().port);
  std::string requests;
  for (int i = 0; i < 200; ++i) {
    std::string body = std::to_string(i);
    requests += "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::thread writer([&] { socket.send(requests); });
  for (int i = 0; i < 200; ++i) EXPECT_EQ(read_answer(socket).body, std::to_string(i));
  writer.join();
}

TEST_F(ServerTest, AResponseWithoutABodyHasNoLength) {
  for (int status : {204, 304})
    router_.add("GET", "/" + std::to_string(status), [status](Request&) { return respond(status, "ignored"); });
  Socket socket(running().port);
  for (const char* path : {"/204", "/304"}) {
    socket.send(get(path));
    Answer answer = read_answer(socket);
    EXPECT_EQ(answer.head.find("Content-Length"), std::string::npos) << answer.head;
    EXPECT_EQ(answer.head.find("Transfer-Encoding"), std::string::npos) << answer.head;
  }
  socket.send(get("/hello"));
  EXPECT_EQ(read_answer(socket).body, "hello");
}

TEST_F(ServerTest, AFailureWhileABodyIsSentIsReported) {
  router_.add("GET", "/fails", [](Request&) {
    Response answer;
    answer.body = [](MutableBytes) -> size_t { throw Error(Code::io, "", "the disk failed"); };
    return answer;
  });
  std::string reported;
  {
    RunningServer server(router_, {.explain = [&](const Request& request, const std::exception& problem) {
      reported = request.target + " " + problem.what();
      return plain_error(500, "");
    }});
    Socket socket(server.port);
    socket.send(get("/fails"));
    EXPECT_THAT(socket.read_all(), HasSubstr("chunked"));
  }
  EXPECT_THAT(reported, HasSubstr("/fails"));
  EXPECT_THAT(reported, HasSubstr("the disk failed"));
}

TEST_F(ServerTest, ClosesTheConnectionIfTheClientAsks) {
  uint16_t port = running().port;
  Socket socket(port);
  socket.send(get("/hello", "Connection: close\r\n"));
  EXPECT_THAT(socket.read_all(), HasSubstr("Connection: close\r\n\r\nhello"));
  Socket old(port);
  old.send("GET /hello HTTP/1.0\r\nHost: h\r\n\r\n");
  EXPECT_THAT(old.read_all(), HasSubstr("Connection: close\r\n\r\nhello"));
}

TEST_F(ServerTest, SendsContinueIfExpected) {
  uint16_t port = running().port;
  Socket socket(port);
  socket.send("PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(socket.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  socket.send("abc");
  EXPECT_THAT(read_answer(socket).body, StartsWith("3 "));
  Socket rejected(port);
  rejected.send("PUT /rejected HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(read_answer(rejected).status, 403) << "before the body";
}

TEST_F(ServerTest, SendsAnErrorToAClientThatIsStillSending) {
  Socket socket(running().port);
  socket.send("PUT /rejected HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n");
  std::string block(1'000'000, 'x');
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(socket.send(block)) << "the connection was reset after " << i << " MB";
  EXPECT_EQ(read_answer(socket).status, 403);
}

TEST_F(ServerTest, RejectsInvalidHttp) {
  uint16_t port = running().port;
  EXPECT_EQ(ask(port, "nonsense\r\n\r\n").status, 400);
  EXPECT_EQ(ask(port, "GET /hello HTTP/1.1\r\n\r\n").status, 400) << "no Host";
  EXPECT_EQ(ask(port, "GET /hello HTTP/1.1\r\nHost: a\" onload=\r\n\r\n").status, 400);
  EXPECT_EQ(ask(port, "GET hello HTTP/1.1\r\nHost: h\r\n\r\n").status, 400);
  EXPECT_EQ(ask(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n").status, 400);
  EXPECT_EQ(
      ask(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab").status, 400);
  EXPECT_EQ(
      ask(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
          .status,
      400);
  EXPECT_EQ(ask(port, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").status, 400);
  EXPECT_EQ(ask(port, get("/hello", "Long: " + std::string(40'000, 'x') + "\r\n")).status, 431);
  EXPECT_EQ(ask(port, get("/hello")).status, 200);
}

TEST_F(ServerTest, TakesALongPath) {
  std::string name(10'000, 'x');
  EXPECT_EQ(ask(running().port, get("/a/b/resolve/main/" + name)).body, "main|" + name);
}

TEST_F(ServerTest, HidesTheErrorOfAFailedHandler) {
  Answer answer = ask(running().port, get("/broken"));
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body.find("secret"), std::string::npos);
}

TEST_F(ServerTest, StreamsABodyOfUnknownLength) {
  Socket socket(running().port);
  socket.send(get("/chunks", "Connection: close\r\n"));
  std::string all = socket.read_all();
  EXPECT_THAT(all, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(all, HasSubstr("\r\n\r\n5\r\nxxxxx\r\n5\r\nxxxxx\r\n5\r\nxxxxx\r\n0\r\n\r\n"));
}

TEST_F(ServerTest, SurvivesClientsThatDisconnectAtAnyPoint) {
  RunningServer& server = running();
  std::string request = "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789";
  for (size_t length = 1; length <= request.size(); ++length) Socket(server.port).send(request.substr(0, length));
  for (int i = 0; i < 20; ++i) {
    Socket socket(server.port);
    socket.send(get("/file"));
    if (i % 2) socket.read_bytes(1000);
  }
  EXPECT_EQ(ask(server.port, get("/hello")).body, "hello");
}

TEST_F(ServerTest, CountsSentBytes) {
  RunningServer& server = running();
  uint64_t before = server.server.counters().sent_bytes;
  Answer answer = ask(server.port, get("/file", "Range: bytes=0-99999\r\n"));
  // The client can receive the last byte before the server counts it.
  wait_until([&] { return server.server.counters().connections == 0; });
  EXPECT_EQ(server.server.counters().sent_bytes - before, 100'000 + answer.head.size());
  EXPECT_EQ(server.server.counters().requests, 1u);
}

TEST_F(ServerTest, StopsAfterTheRunningRequests) {
  router_.add("GET", "/slow", [](Request&) {
    std::this_thread::sleep_for(milliseconds(300));
    return respond(200, "done", "text/plain");
  });
  RunningServer& server = running();
  Socket idle(server.port), busy(server.port);
  busy.send(get("/slow"));
  wait_until([&] { return server.server.counters().received_bytes != 0; });
  auto start = std::chrono::steady_clock::now();
  std::thread stopper([&] { running_.reset(); });
  EXPECT_THAT(busy.read_all(), HasSubstr("Connection: close\r\n\r\ndone"));
  EXPECT_EQ(idle.read_all(), "");
  stopper.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST(Listen, FailsOnAUsedPort) {
  Router router;
  Server first(router), second(router);
  uint16_t port = first.listen("127.0.0.1", 0);
  try {
    second.listen("127.0.0.1", port);
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), StartsWith("cannot listen on 127.0.0.1:" + std::to_string(port) + ": "));
  }
}

TEST(ResponseFields, LineBreaksDoNotForgeFields) {
  Router router;
  router.add("GET", "/x", [](Request&) { return respond(200, "").with("X-Name", "a\r\nX-Forged: b"); });
  RunningServer server(router);
  Answer answer = ask(server.port, get("/x"));
  EXPECT_EQ(answer.field("X-Forged"), "");
  EXPECT_EQ(answer.field("X-Name"), "a  X-Forged: b");
}

TEST(Targets, AreDecodedAndEncoded) {
  EXPECT_EQ(percent_decoded("a%2Fb%20c+d"), "a/b c+d");
  EXPECT_EQ(percent_decoded("%"), std::nullopt);
  EXPECT_EQ(percent_decoded("%4"), std::nullopt);
  EXPECT_EQ(percent_decoded("%00"), std::nullopt);
  EXPECT_EQ(percent_encoded("a/b \xc3\xa4", true), "a/b%20%C3%A4");
  EXPECT_EQ(percent_encoded("a/b", false), "a%2Fb");
  EXPECT_EQ(form_value("paths=a+b&paths=c%2Fd&expand=true", "paths"), "a b");
  EXPECT_EQ(form_pairs("a=1&&b&=2&c=%zz").size(), 2u);
  EXPECT_TRUE(is_form("a=1&&b&=2&c=%20"));
  EXPECT_FALSE(is_form("a=1&c=%zz"));
  EXPECT_FALSE(is_form("a=%00"));
}

}  // namespace
}  // namespace depickle::server::http
