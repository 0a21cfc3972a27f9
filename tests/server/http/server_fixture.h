// A server with a handler for each kind of response and body.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "running.h"

namespace depickle::server::http {

/// Responds with the length and a checksum of the body.
class Counting final : public Receiver {
 public:
  void take(Bytes block) override {
    bytes_ += block.size();
    for (std::byte byte : block) sum_ = sum_ * 31 + static_cast<uint8_t>(byte);
  }
  Response finish() override { return respond(200, std::to_string(bytes_) + " " + std::to_string(sum_), "text/plain"); }

 private:
  uint64_t bytes_ = 0, sum_ = 0;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    path_ = std::filesystem::temp_directory_path() / ("depickle-server-test-" + std::to_string(::getpid()));
    std::ofstream out(path_, std::ios::binary);
    for (int i = 0; i < 300'000; ++i) content_ += static_cast<char>(i * 7 + i / 251);
    out << content_;
    router_.add("GET", "/hello", [](Request&) { return respond(200, "hello", "text/plain"); });
    router_.add_with_body("POST", "/echo", [](Request& request, const Bodies& bodies) {
      std::string user = request.query("user").value_or("");
      return bodies.buffered(
          request, Sender{user, request.query("address").value_or(request.peer)},
          [](Request& complete) { return respond(200, complete.body, "text/plain"); }, 1000);
    });
    router_.add("GET", "/{ns}/{name}/resolve/{rev:rev}/{path:path}", [](Request& request) {
      return respond(200, request.captured("rev") + "|" + request.captured("path"), "text/plain");
    });
    router_.add("GET", "/file", [this](Request& request) { return file(request); });
    router_.add("GET", "/small", [](Request& request) {
      Response answer = respond(200, "0123456789", "text/plain");
      return ranged(request, answer.with("ETag", "\"tag\""));
    });
    router_.add("GET", "/chunks", [](Request&) {
      Response answer;
      answer.body = [remaining = 3](MutableBytes into) mutable -> size_t {
        std::fill_n(reinterpret_cast<char*>(into.data()), 5, 'x');
        return remaining-- > 0 ? 5 : 0;
      };
      return answer;
    });
    router_.add("GET", "/broken", [](Request&) -> Response { throw std::runtime_error("secret"); });
    router_.add_with_body("PUT", "/sink", [](Request&, const Bodies&) { return std::make_unique<Counting>(); });
    router_.add_with_body("PUT", "/rejected",
        [](Request&, const Bodies&) -> std::unique_ptr<Receiver> { throw Abort(respond(403, "{}"), "rejected"); });
    router_.add_with_body("POST", "/dropped", [](Request& request, const Bodies& bodies) {
      return bodies.dropped(
          request, [](Request& complete) { return respond(200, complete.body + "dropped", "text/plain"); }, 1000);
    });
  }
  ~ServerTest() override { std::filesystem::remove(path_); }

  Response file(Request& request) {
    Response answer;
    auto open = OpenFile::open(path_.string());
    answer.body = FileRange{open, 0, open->size_bytes()};
    return ranged(request, std::move(answer));
  }

  RunningServer& running(ServerLimits limits = {}) {
    running_ = std::make_unique<RunningServer>(router_, Options{.limits = limits});
    return *running_;
  }

  std::filesystem::path path_;
  std::string content_;
  Router router_;
  std::unique_ptr<RunningServer> running_;
};

}  // namespace depickle::server::http
