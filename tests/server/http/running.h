// A server on a free port, and a client that sends and receives raw bytes.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "server/http/server.h"

namespace depickle::server::http {

inline constexpr std::chrono::seconds kDeadline{30};

/// Waits until `condition` returns true. After the deadline the test fails and goes on.
template <typename Condition>
void wait_until(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "the condition is still false after " << kDeadline.count() << " s";
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

class RunningServer {
 public:
  explicit RunningServer(const Router& router, Options options = {}) : server(router, std::move(options)) {
    port = server.listen("127.0.0.1", 0);
    thread_ = std::thread([this] { server.run(); });
  }
  ~RunningServer() {
    server.stop();
    thread_.join();
  }

  Server server;
  uint16_t port;

 private:
  std::thread thread_;
};

/// Reads nothing more after the deadline.
class Socket {
 public:
  explicit Socket(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval deadline{kDeadline.count(), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Socket() { ::close(fd_); }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), rest_(std::move(other.rest_)) {}

  /// Returns false if the server has closed the connection.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }
  /// Reads up to and including `end`. Returns less if the server closes the connection first.
  std::string read_until(std::string_view end) {
    while (rest_.find(end) == std::string::npos && more()) {
    }
    return cut(
        std::min(rest_.size(), rest_.find(end) == std::string::npos ? rest_.size() : rest_.find(end) + end.size()));
  }
  std::string read_bytes(size_t count) {
    while (rest_.size() < count && more()) {
    }
    return cut(std::min(rest_.size(), count));
  }
  std::string read_all() {
    while (more()) {
    }
    return cut(rest_.size());
  }
  /// Returns whether data arrives or the server closes the connection within this time.
  bool is_readable_within(int timeout_ms) {
    pollfd one{fd_, POLLIN, 0};
    return ::poll(&one, 1, timeout_ms) > 0;
  }

 private:
  bool more() {
    char block[16384];
    ssize_t count = ::recv(fd_, block, sizeof block, 0);
    if (count > 0) rest_.append(block, static_cast<size_t>(count));
    return count > 0;
  }
  std::string cut(size_t count) {
    std::string out = rest_.substr(0, count);
    rest_.erase(0, count);
    return out;
  }
  int fd_;
  std::string rest_;
};

struct Answer {
  int status = 0;
  std::string head;
  std::string body;

  std::string field(std::string_view name) const {
    size_t at = head.find("\r\n" + std::string(name) + ": ");
    if (at == std::string::npos) return {};
    at += name.size() + 4;
    return head.substr(at, head.find("\r\n", at) - at);
  }
};

/// Reads one response, with the body that Content-Length announces unless `head_only`. Status 0 if the server closes
/// the connection.
inline Answer read_answer(Socket& socket, bool head_only = false) {
  Answer answer;
  answer.head = socket.read_until("\r\n\r\n");
  if (answer.head.size() < 12) return answer;
  answer.status = std::stoi(answer.head.substr(9, 3));
  std::string length = answer.field("Content-Length");
  if (!head_only && !length.empty()) answer.body = socket.read_bytes(std::stoull(length));
  return answer;
}

inline std::string get(std::string_view target, std::string_view more = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: here\r\n" + std::string(more) + "\r\n";
}

inline Answer ask(uint16_t port, std::string_view request, bool head_only = false) {
  Socket socket(port);
  socket.send(request);
  return read_answer(socket, head_only);
}

}  // namespace depickle::server::http
