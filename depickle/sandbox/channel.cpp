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

// A million tensors with their digests take less. A hostile worker can make its parent allocate this much, and a few
// times as much for the decoded values.
constexpr uint64_t kMaxMessageBytes = 256 << 20;
constexpr uint64_t kMinStepBytes = 1 << 20;

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

bool receive_all(int socket, std::span<char> out) {
  try {
    return os::read_all(socket, std::as_writable_bytes(out), "") == out.size();
  } catch (const Error&) {  // ECONNRESET: the other end was closed with unread messages
    return false;
  }
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

bool Channel::receive(Message& message) const {
  uint64_t length = 0;
  iovec part{&length, sizeof length};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  Control control{};
  head.msg_control = control.bytes.data();
  head.msg_controllen = control.bytes.size();
  const ssize_t count =
      without_interrupts([&] { return ::recvmsg(socket_.get(), &head, MSG_CMSG_CLOEXEC | MSG_WAITALL); });
  message.file.reset();
  for (cmsghdr* item = CMSG_FIRSTHDR(&head); count > 0 && item; item = CMSG_NXTHDR(&head, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    int file = -1;
    std::memcpy(&file, CMSG_DATA(item), sizeof file);
    message.file.reset(file);
  }
  if (count != sizeof length || length > kMaxMessageBytes) return false;
  message.payload.clear();
  while (message.payload.size() < length) {
    const size_t begin = message.payload.size();
    const size_t step = std::min<uint64_t>(length - begin, std::max<uint64_t>(begin, kMinStepBytes));
    message.payload.resize(begin + step);
    if (!receive_all(socket_.get(), std::span(message.payload).subspan(begin, step))) return false;
  }
  return true;
}

bool Channel::wait(int timeout_ms) const {
  pollfd one{socket_.get(), POLLIN, 0};
  return ::poll(&one, 1, timeout_ms) > 0;
}

void Channel::shut_down() const noexcept { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace depickle::sandbox
