// Messages between two processes, each with at most one open file.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "depickle/os/file_descriptor.h"

namespace depickle::sandbox {

struct Message {
  std::string payload;
  os::FileDescriptor file;
};

/// One end of a stream socket. Not thread-safe, except that one thread may send while another receives.
class Channel {
 public:
  explicit Channel(os::FileDescriptor socket) noexcept : socket_(std::move(socket)) {}
  /// Returns two connected ends. exec closes both. Throws Error{io}.
  static std::pair<Channel, Channel> pair();

  /// Sends a copy of the descriptor `file`, if it is not -1. Returns false if the other end is closed.
  bool send(std::string_view payload, int file = -1) const;
  /// Returns false if the other end is closed or sends an invalid message. Allocates memory for received bytes only,
  /// not for the announced length.
  bool receive(Message& message) const;
  /// Returns whether receive() would not block, after waiting at most `timeout_ms`.
  bool wait(int timeout_ms) const;
  /// Closes both directions, for both ends. Wakes all waiting threads.
  void shut_down() const noexcept;

  int descriptor() const noexcept { return socket_.get(); }

 private:
  os::FileDescriptor socket_;
};

}  // namespace depickle::sandbox
