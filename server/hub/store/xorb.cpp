#include "server/hub/store/xorb.h"

#include <fcntl.h>
#include <lz4frame.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/os/file_descriptor.h"
#include "server/hub/store/store_error.h"

namespace depickle::server {
namespace {

[[noreturn]] void bad_xorb(std::string_view why) {
  throw StoreError(StoreReason::malformed, fmt::format("the xorb is broken: {}", why));
}

uint32_t u24(Bytes bytes, uint64_t offset) {
  return static_cast<uint32_t>(bytes[offset]) | static_cast<uint32_t>(bytes[offset + 1]) << 8 |
         static_cast<uint32_t>(bytes[offset + 2]) << 16;
}

// Into exactly `raw`: a frame that says more or less is broken.
void unpack_lz4(Bytes data, MutableBytes raw) {
  LZ4F_dctx* made = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION))) throw std::bad_alloc();
  std::unique_ptr<LZ4F_dctx, decltype(&LZ4F_freeDecompressionContext)> context(made, LZ4F_freeDecompressionContext);
  size_t left = 1;
  while (left != 0) {
    size_t in_bytes = data.size(), out_bytes = raw.size();
    left = LZ4F_decompress(made, raw.data(), &out_bytes, data.data(), &in_bytes, nullptr);
    if (LZ4F_isError(left)) bad_xorb(fmt::format("LZ4 says {}", LZ4F_getErrorName(left)));
    if (left != 0 && in_bytes == 0 && out_bytes == 0)
      bad_xorb("an LZ4 frame is cut short, or holds more than its head says");
    data = data.subspan(in_bytes);
    raw = raw.subspan(out_bytes);
  }
  if (!raw.empty() || !data.empty()) bad_xorb("an LZ4 frame holds less than its head says");
}

void ungroup(Bytes grouped, MutableBytes raw) {
  size_t at = 0;
  for (size_t group = 0; group < 4; ++group) {
    for (size_t i = group; i < raw.size(); i += 4) raw[i] = grouped[at++];
  }
}

}  // namespace

ChunkHead parse_chunk_head(Bytes head) {
  ChunkHead chunk{u24(head, 1), u24(head, 5), static_cast<uint8_t>(head[4])};
  if (head[0] != std::byte{0}) bad_xorb(fmt::format("a chunk of version {}", static_cast<int>(head[0])));
  if (chunk.scheme > 2) bad_xorb(fmt::format("a chunk of scheme {}", chunk.scheme));
  if (chunk.compressed_bytes == 0 || chunk.raw_bytes == 0) bad_xorb("a chunk without bytes");
  if (chunk.scheme == 0 && chunk.compressed_bytes != chunk.raw_bytes) bad_xorb("a stored chunk with two sizes");
  return chunk;
}

void unpack_chunk(const ChunkHead& head, Bytes data, std::vector<std::byte>& raw) {
  raw.resize(head.raw_bytes);
  if (head.scheme == 0) {
    std::memcpy(raw.data(), data.data(), raw.size());
  } else if (head.scheme == 1) {
    unpack_lz4(data, raw);
  } else {
    std::vector<std::byte> grouped(head.raw_bytes);
    unpack_lz4(data, grouped);
    ungroup(grouped, raw);
  }
}

void append_chunk_table(TemporaryFile& file) {
  std::vector<uint32_t> table;
  uint64_t size_bytes = file.size_bytes(), at = 0;
  while (at < size_bytes) {
    table.push_back(static_cast<uint32_t>(at));
    std::array<std::byte, kChunkHeadBytes> head;
    if (size_bytes - at < head.size()) bad_xorb("its last chunk is cut short");
    file.read(at, head);
    ChunkHead chunk = parse_chunk_head(head);
    if (chunk.compressed_bytes > size_bytes - at - head.size()) bad_xorb("its last chunk is cut short");
    at += head.size() + chunk.compressed_bytes;
  }
  if (table.empty()) bad_xorb("it is empty");
  auto chunks = static_cast<uint32_t>(table.size());
  table.push_back(static_cast<uint32_t>(at));
  table.push_back(chunks);
  file.append(std::as_bytes(std::span(table)));
}

XorbFile::XorbFile(const std::filesystem::path& file) : file_(file), fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) throw system_error(errno, "cannot open", file_.string());
  struct stat status{};
  ::fstat(fd_, &status);
  size_bytes_ = static_cast<uint64_t>(status.st_size);
  read(size_bytes_ - sizeof chunks_, std::as_writable_bytes(std::span(&chunks_, 1)));
}

XorbFile::~XorbFile() { ::close(fd_); }

void XorbFile::read(uint64_t offset, MutableBytes out) const {
  if (os::read_all_at(fd_, offset, out, file_) != out.size())
    throw Error(Code::io, "", "is shorter than what was written", Where::in(file_.string()));
}

void XorbFile::each_chunk(uint32_t begin, uint32_t end, const std::function<void(Bytes)>& take) const {
  if (begin >= end || end > chunks_) {
    throw StoreError(StoreReason::malformed,
        fmt::format("the shard names chunks [{}, {}) of a xorb that has {}", begin, end, chunks_));
  }
  uint64_t table_begin = size_bytes_ - sizeof(uint32_t) * (uint64_t{chunks_} + 2);
  std::vector<std::byte> data, raw;
  for (uint32_t i = begin; i < end; ++i) {
    uint32_t bounds[2];
    read(table_begin + sizeof(uint32_t) * uint64_t{i}, std::as_writable_bytes(std::span(bounds)));
    data.resize(bounds[1] - bounds[0]);
    read(bounds[0], data);
    unpack_chunk(parse_chunk_head(data), Bytes(data).subspan(kChunkHeadBytes), raw);
    take(raw);
  }
}

}  // namespace depickle::server
