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
/// After this much a worker looks at the other connections.
constexpr uint64_t kTurnBytes = 16 << 20;

MutableBytes block() {
  thread_local std::unique_ptr<std::byte[]> bytes(new std::byte[kBlockBytes]);
  return {bytes.get(), kBlockBytes};
}

/// What a failed call on a non-blocking socket means.
Flow flow_of(int problem) {
  if (problem == EAGAIN || problem == EWOULDBLOCK) return Flow::blocked;
  return problem == EINTR ? Flow::again : Flow::gone;
}

}  // namespace

Flow receive(int socket, std::string& input, size_t most, uint64_t& moved) {
  MutableBytes into = block().first(std::min(most, kBlockBytes));
  ssize_t count = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
  if (count < 0) return flow_of(errno);
  if (count == 0) return Flow::gone;
  input.append(reinterpret_cast<const char*>(into.data()), static_cast<size_t>(count));
  moved += static_cast<uint64_t>(count);
  return Flow::again;
}

Flow receive_body(int socket, RequestParser& parser, std::string& input, Receiver& receiver, uint64_t& moved) {
  std::function<void(Bytes)> take = [&](Bytes bytes) { receiver.take(bytes); };
  uint64_t before = moved;
  while (true) {
    if (!input.empty()) {
      input.erase(0, parser.put_body(input, take));
      if (parser.done()) return Flow::done;
    }
    if (moved - before >= kTurnBytes) return Flow::again;
    MutableBytes into = block();
    if (auto remaining = parser.remaining_bytes()) into = into.first(std::min<uint64_t>(*remaining, into.size()));
    ssize_t count = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return flow_of(errno);
    if (count == 0) return Flow::gone;
    moved += static_cast<uint64_t>(count);
    std::string_view bytes(reinterpret_cast<const char*>(into.data()), static_cast<size_t>(count));
    if (input.empty()) bytes.remove_prefix(parser.put_body(bytes, take));
    input.append(bytes);
    if (parser.done()) return Flow::done;
  }
}

Flow send(int socket, std::string_view& output, bool more, uint64_t& moved) {
  while (!output.empty()) {
    ssize_t count = ::send(socket, output.data(), output.size(), MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return flow_of(errno);
    output.remove_prefix(static_cast<size_t>(count));
    moved += static_cast<uint64_t>(count);
  }
  return Flow::done;
}

Flow send_file(int socket, FileRange& range, uint64_t& moved) {
  uint64_t before = moved;
  while (range.length > 0) {
    if (moved - before >= kTurnBytes) return Flow::again;
    auto offset = static_cast<off_t>(range.offset);
    ssize_t count = ::sendfile(socket, range.file->descriptor(), &offset, std::min<uint64_t>(range.length, 1 << 20));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return flow_of(errno);
    if (count == 0) throw Error(Code::truncated, "", "a file became shorter while it was sent");
    range.offset += static_cast<uint64_t>(count);
    range.length -= static_cast<uint64_t>(count);
    moved += static_cast<uint64_t>(count);
  }
  return Flow::done;
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
