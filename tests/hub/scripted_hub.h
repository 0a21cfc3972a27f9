// A Hub whose replies are scripted by a test, byte by byte.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

namespace depickle::hub {

struct Seen {
  std::string method, target, head, body;

  /// Returns the value of a header; "" if it does not exist.
  std::string header(std::string_view name) const {
    std::string lower(head);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const size_t at = lower.find(fmt::format("\r\n{}: ", name));
    if (at == lower.npos) return {};
    const size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

struct Reply {
  enum class Then { keep, close, hang };
  std::string bytes;
  Then then = Then::keep;
  std::chrono::milliseconds delay{0};
};

/// A reply with Content-Length. Each of `headers` ends in "\r\n".
inline Reply reply(int status, std::string_view body = {}, std::string_view headers = {}) {
  return {fmt::format("HTTP/1.1 {} Reason\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), headers, body)};
}
/// The reply to HEAD.
inline Reply head_reply(int status, size_t length, std::string_view headers = {}) {
  return {fmt::format("HTTP/1.1 {} Reason\r\nContent-Length: {}\r\n{}\r\n", status, length, headers)};
}
inline Reply cut(Reply whole, size_t bytes) {
  whole.bytes.resize(std::min(bytes, whole.bytes.size()));
  whole.then = Reply::Then::close;
  return whole;
}

/// Listens on a free port of the loopback interface. One thread calls the handler for each request, in the order of
/// arrival.
class ScriptedHub {
 public:
  using Handler = std::function<Reply(const Seen&)>;

  explicit ScriptedHub(Handler handler) : handler_(std::move(handler)) {
    std::signal(SIGPIPE, SIG_IGN);
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0)
      throw std::runtime_error("cannot listen on a port");
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  ~ScriptedHub() {
    thread_.request_stop();
    ::shutdown(listener_, SHUT_RDWR);  // wakes up the thread
    thread_.join();
    for (const Connection& connection : connections_) ::close(connection.fd);
    ::close(listener_);
  }

  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  std::vector<Seen> seen() const {
    std::scoped_lock lock(mutex_);
    return seen_;
  }
  size_t count(std::string_view method) const {
    const std::vector<Seen> all = seen();
    return static_cast<size_t>(std::ranges::count(all, method, &Seen::method));
  }

 private:
  struct Connection {
    int fd;
    std::string input = {};
    bool is_hung = false;
  };

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::vector<pollfd> wanted{{listener_, POLLIN, 0}};
      for (const Connection& connection : connections_)
        wanted.push_back({connection.is_hung ? -1 : connection.fd, POLLIN, 0});
      if (::poll(wanted.data(), wanted.size(), 1000) <= 0) continue;
      for (size_t i = wanted.size() - 1; i > 0; --i) {
        if (wanted[i].revents && !serve(connections_[i - 1])) {
          ::close(connections_[i - 1].fd);
          connections_.erase(connections_.begin() + static_cast<ptrdiff_t>(i - 1));
        }
      }
      if (wanted[0].revents) accept();
    }
  }

  void accept() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connections_.push_back({fd});
  }

  // Returns whether the connection stays open.
  bool serve(Connection& connection) {
    char buffer[65536];
    const ssize_t count = ::recv(connection.fd, buffer, sizeof buffer, 0);
    if (count <= 0) return false;
    connection.input.append(buffer, static_cast<size_t>(count));
    const size_t end = connection.input.find("\r\n\r\n");
    if (end == connection.input.npos) return true;
    Seen seen;
    seen.head = connection.input.substr(0, end + 2);
    const std::string length = seen.header("content-length");
    const size_t body_bytes = length.empty() ? 0 : std::stoul(length);
    if (connection.input.size() < end + 4 + body_bytes) return true;
    seen.body = connection.input.substr(end + 4, body_bytes);
    connection.input.erase(0, end + 4 + body_bytes);
    seen.method = seen.head.substr(0, seen.head.find(' '));
    const size_t target = seen.method.size() + 1;
    seen.target = seen.head.substr(target, seen.head.find(' ', target) - target);
    {
      std::scoped_lock lock(mutex_);
      seen_.push_back(seen);
    }
    const Reply answer = handler_(seen);
    if (answer.delay.count() > 0) std::this_thread::sleep_for(answer.delay);
    for (size_t done = 0; done < answer.bytes.size();) {
      const ssize_t sent = ::send(connection.fd, answer.bytes.data() + done, answer.bytes.size() - done, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      done += static_cast<size_t>(sent);
    }
    connection.is_hung = answer.then == Reply::Then::hang;
    return answer.then != Reply::Then::close;
  }

  Handler handler_;
  int listener_ = -1, port_ = 0;
  std::vector<Connection> connections_;
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  std::jthread thread_;
};

}  // namespace depickle::hub
