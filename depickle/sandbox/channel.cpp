#include "depickle/sandbox/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "depickle/base/error.h"

namespace depickle::sandbox {
namespace {

// A million tensors with their digests take less. Whoever is taken over can make the other side hold so much, and a few times that decoded.
constexpr uint64_t kMaxBytes = 256 << 20, kStepBytes = 1 << 20;

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool receive_all(int socket, char* out, size_t length) {
  while (length > 0) {
    const ssize_t count = ::recv(socket, out, length, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    out += count;
    length -= static_cast<size_t>(count);
  }
  return true;
}

// Room for one descriptor beside the bytes.
union Control {
  cmsghdr head;
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

std::pair<Channel, Channel> Channel::pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw system_error(errno, "cannot open a socket", "");
  return {Channel(Descriptor(ends[0])), Channel(Descriptor(ends[1]))};
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
  ssize_t sent;
  do sent = ::sendmsg(socket_.get(), &head, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
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
  ssize_t count;
  do count = ::recvmsg(socket_.get(), &head, MSG_CMSG_CLOEXEC | MSG_WAITALL);
  while (count < 0 && errno == EINTR);
  message.file = Descriptor();
  for (cmsghdr* item = CMSG_FIRSTHDR(&head); count > 0 && item; item = CMSG_NXTHDR(&head, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    int file = -1;
    std::memcpy(&file, CMSG_DATA(item), sizeof file);
    message.file = Descriptor(file);
  }
  if (count != sizeof length || length > kMaxBytes) return false;
  message.payload.clear();
  while (message.payload.size() < length) {
    const size_t begin = message.payload.size();
    const size_t step = std::min<uint64_t>(length - begin, std::max<uint64_t>(begin, kStepBytes));
    message.payload.resize(begin + step);
    if (!receive_all(socket_.get(), message.payload.data() + begin, step)) return false;
  }
  return true;
}

bool Channel::wait(int timeout_ms) const {
  pollfd one{socket_.get(), POLLIN, 0};
  return ::poll(&one, 1, timeout_ms) > 0;
}

void Channel::shut_down() const noexcept { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace depickle::sandbox
