#include "server/http/transfer.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace depickle::server::http {
namespace {

constexpr size_t kBlockBytes = 256 << 10;
// A worker moves at most this much before it serves another connection.
constexpr uint64_t kTurnBytes = 16 << 20;

MutableBytes block() {
  thread_local std::unique_ptr<std::byte[]> bytes(new std::byte[kBlockBytes]);
  return {bytes.get(), kBlockBytes};
}

/// Returns the meaning of an errno of a call on a non-blocking socket.
Transfer transfer_of(int error_number) {
  if (error_number == EAGAIN || error_number == EWOULDBLOCK) return Transfer::blocked;
  return error_number == EINTR ? Transfer::again : Transfer::closed;
}

}  // namespace

Transfer receive(int socket, std::string& input, size_t max_bytes, uint64_t& moved_bytes) {
  MutableBytes into = block().first(std::min(max_bytes, kBlockBytes));
  ssize_t count = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
  if (count < 0) return transfer_of(errno);
  if (count == 0) return Transfer::closed;
  input.append(reinterpret_cast<const char*>(into.data()), static_cast<size_t>(count));
  moved_bytes += static_cast<uint64_t>(count);
  return Transfer::again;
}

Transfer receive_body(
    int socket, RequestParser& parser, std::string& input, Receiver& receiver, uint64_t& moved_bytes) {
  std::function<void(Bytes)> take = [&](Bytes bytes) { receiver.take(bytes); };
  uint64_t before = moved_bytes;
  while (true) {
    if (!input.empty()) {
      input.erase(0, parser.put_body(input, take));
      if (parser.is_done()) return Transfer::done;
    }
    if (moved_bytes - before >= kTurnBytes) return Transfer::again;
    MutableBytes into = block();
    if (auto remaining = parser.remaining_bytes()) into = into.first(std::min<uint64_t>(*remaining, into.size()));
    ssize_t count = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
    if (count < 0) return transfer_of(errno);
    if (count == 0) return Transfer::closed;
    moved_bytes += static_cast<uint64_t>(count);
    std::string_view bytes(reinterpret_cast<const char*>(into.data()), static_cast<size_t>(count));
    if (input.empty()) bytes.remove_prefix(parser.put_body(bytes, take));
    input.append(bytes);
    if (parser.is_done()) return Transfer::done;
  }
}

Transfer send(int socket, std::string_view& output, bool more, uint64_t& moved_bytes) {
  while (!output.empty()) {
    ssize_t count = ::send(socket, output.data(), output.size(), MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
    if (count < 0) return transfer_of(errno);
    output.remove_prefix(static_cast<size_t>(count));
    moved_bytes += static_cast<uint64_t>(count);
  }
  return Transfer::done;
}

Transfer send_file(int socket, FileRange& range, uint64_t& moved_bytes) {
  uint64_t before = moved_bytes;
  while (range.length > 0) {
    if (moved_bytes - before >= kTurnBytes) return Transfer::again;
    auto offset = static_cast<off_t>(range.offset);
    ssize_t count = ::sendfile(socket, range.file->descriptor(), &offset, std::min<uint64_t>(range.length, 1 << 20));
    if (count < 0) return transfer_of(errno);
    if (count == 0) throw Error(Code::truncated, "", "the file became shorter while it was sent");
    range.offset += static_cast<uint64_t>(count);
    range.length -= static_cast<uint64_t>(count);
    moved_bytes += static_cast<uint64_t>(count);
  }
  return Transfer::done;
}

bool pull_chunk(const Pull& pull, std::string& output) {
  MutableBytes into = block().first(64 << 10);
  size_t count = pull(into);
  output += fmt::format("{:x}\r\n", count);
  output.append(reinterpret_cast<const char*>(into.data()), count);
  output += "\r\n";
  return count > 0;
}

}  // namespace depickle::server::http
