// Messages between two processes, each with at most one open file.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "depickle/os/file_descriptor.h"

namespace depickle::sandbox {

struct Message {
  std::string payload;
  os::FileDescriptor file;
};

/// A million tensors with their digests take less. A hostile worker can make its parent allocate this much, and a few
/// times as much for the decoded values.
inline constexpr uint64_t kMaxMessageBytes = 256 << 20;

enum class Received {
  message,
  closed,     ///< the other end is closed
  too_large,  ///< the other end announced a message above the limit; the channel cannot be used any more
};

struct ReceiveOptions {
  uint64_t max_bytes = kMaxMessageBytes;
  bool accepts_file = false;  ///< else the kernel closes the files that the other end sends
  /// If not empty, called at least ten times a second until the message is complete, however slowly the other end
  /// sends it. Throws to stop.
  std::function<void()> check = {};
};

/// One end of a stream socket. Not thread-safe, except that one thread may send while another receives.
class Channel {
 public:
  explicit Channel(os::FileDescriptor socket) noexcept : socket_(std::move(socket)) {}
  /// Returns two connected ends. exec closes both. Throws Error{io}.
  static std::pair<Channel, Channel> pair();

  /// Sends a copy of the descriptor `file`, if it is not -1. Returns false if the other end is closed.
  bool send(std::string_view payload, int file = -1) const;
  /// Allocates memory for received bytes only, not for the announced length. Throws what `options.check` throws.
  Received receive(Message& message, const ReceiveOptions& options = {}) const;
  /// Closes both directions, for both ends. Wakes all waiting threads.
  void shut_down() const noexcept;

  int descriptor() const noexcept { return socket_.get(); }

 private:
  bool receive_all(std::span<char> out, const ReceiveOptions& options, os::FileDescriptor* file) const;

  os::FileDescriptor socket_;
};

}  // namespace depickle::sandbox
