#include "depickle/sandbox/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>

#include "depickle/base/error.h"

namespace depickle::sandbox {
namespace {

constexpr uint64_t kMinStepBytes = 1 << 20;
constexpr int kPollMs = 100;

// Repeats a system call while a signal interrupts it.
template <typename Call>
ssize_t without_interrupts(Call call) {
  ssize_t result;
  do result = call();
  while (result < 0 && errno == EINTR);
  return result;
}

// Not os::write_all: without MSG_NOSIGNAL, a closed channel would kill this process with SIGPIPE.
bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = without_interrupts([&] { return ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// Space for one descriptor in a message's control data.
union Control {
  cmsghdr head;
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

}  // namespace

std::pair<Channel, Channel> Channel::pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw system_error(errno, "cannot open a socket", "");
  return {Channel(os::FileDescriptor(ends[0])), Channel(os::FileDescriptor(ends[1]))};
}

bool Channel::send(std::string_view payload, int file) const {
  uint64_t length = payload.size();
  iovec part{&length, sizeof length};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  Control control{};
  if (file >= 0) {
    head.msg_control = control.bytes.data();
    head.msg_controllen = control.bytes.size();
    cmsghdr* item = CMSG_FIRSTHDR(&head);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(item), &file, sizeof file);
  }
  const ssize_t sent = without_interrupts([&] { return ::sendmsg(socket_.get(), &head, MSG_NOSIGNAL); });
  return sent == sizeof length && send_all(socket_.get(), payload);
}

Received Channel::receive(Message& message, const ReceiveOptions& options) const {
  message.file.reset();
  message.payload.clear();
  uint64_t length = 0;
  const std::span head(reinterpret_cast<char*>(&length), sizeof length);
  if (!receive_all(head, options, options.accepts_file ? &message.file : nullptr)) return Received::closed;
  if (length > options.max_bytes) return Received::too_large;
  while (message.payload.size() < length) {
    const size_t begin = message.payload.size();
    const size_t step = std::min<uint64_t>(length - begin, std::max<uint64_t>(begin, kMinStepBytes));
    message.payload.resize(begin + step);
    if (!receive_all(std::span(message.payload).subspan(begin, step), options, nullptr)) return Received::closed;
  }
  return Received::message;
}

// Returns false if the other end is closed.
bool Channel::receive_all(std::span<char> out, const ReceiveOptions& options, os::FileDescriptor* file) const {
  while (!out.empty()) {
    if (options.check) {
      options.check();
      pollfd one{socket_.get(), POLLIN, 0};
      if (::poll(&one, 1, kPollMs) <= 0) continue;
    }
    iovec part{out.data(), out.size()};
    msghdr head{};
    head.msg_iov = &part;
    head.msg_iovlen = 1;
    Control control{};
    if (file) {
      head.msg_control = control.bytes.data();
      head.msg_controllen = control.bytes.size();
    }
    const ssize_t count = without_interrupts([&] { return ::recvmsg(socket_.get(), &head, MSG_CMSG_CLOEXEC); });
    if (count <= 0) return false;  // ECONNRESET: the other end was closed with unread messages
    out = out.subspan(static_cast<size_t>(count));
    for (cmsghdr* item = file ? CMSG_FIRSTHDR(&head) : nullptr; item; item = CMSG_NXTHDR(&head, item)) {
      if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
      int received = -1;
      std::memcpy(&received, CMSG_DATA(item), sizeof received);
      file->reset(received);
    }
  }
  return true;
}

void Channel::shut_down() const noexcept { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace depickle::sandbox
