// Messages between two processes, each with at most one open file.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace depickle::sandbox {

/// Closes a descriptor. -1 is none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct Message {
  std::string payload;
  Descriptor file;
};

/// One end of a stream socket. Not for several threads, except that one may send while another receives.
class Channel {
 public:
  explicit Channel(Descriptor socket) noexcept : socket_(std::move(socket)) {}
  /// Two ends, both closed by exec. Throws Error{io}.
  static std::pair<Channel, Channel> pair();

  /// `file` is copied to the other side. False where the other side is gone.
  bool send(std::string_view payload, int file = -1) const;
  /// False where the other side is gone, or sends what is no message. Memory grows with what has come, not with what was announced.
  bool receive(Message& message) const;
  /// Whether something can be received, waiting at most so long. The end of the other side counts.
  bool wait(int timeout_ms) const;
  /// Both directions end, here and there, whoever waits.
  void shut_down() const noexcept;

  int descriptor() const noexcept { return socket_.get(); }

 private:
  Descriptor socket_;
};

}  // namespace depickle::sandbox
