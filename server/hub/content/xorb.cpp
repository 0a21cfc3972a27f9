#include "server/hub/content/xorb.h"

#include <fcntl.h>
#include <lz4frame.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::content {
namespace {

[[noreturn]] void fail_xorb(std::string_view reason) {
  throw StoreError(StoreReason::malformed, fmt::format("the xorb is malformed: {}", reason));
}

uint32_t u24(Bytes bytes, uint64_t offset) {
  return static_cast<uint32_t>(bytes[offset]) | static_cast<uint32_t>(bytes[offset + 1]) << 8 |
         static_cast<uint32_t>(bytes[offset + 2]) << 16;
}

// Decompresses a frame to exactly the size of `raw`. Throws StoreError{malformed} if it is longer or shorter.
void unpack_lz4(Bytes data, MutableBytes raw) {
  LZ4F_dctx* created = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&created, LZ4F_VERSION))) throw std::bad_alloc();
  std::unique_ptr<LZ4F_dctx, decltype(&LZ4F_freeDecompressionContext)> context(created, LZ4F_freeDecompressionContext);
  size_t pending = 1;
  while (pending != 0) {
    size_t in_bytes = data.size(), out_bytes = raw.size();
    pending = LZ4F_decompress(created, raw.data(), &out_bytes, data.data(), &in_bytes, nullptr);
    if (LZ4F_isError(pending)) fail_xorb(fmt::format("LZ4: {}", LZ4F_getErrorName(pending)));
    if (pending != 0 && in_bytes == 0 && out_bytes == 0)
      fail_xorb("an LZ4 frame is truncated or longer than its header says");
    data = data.subspan(in_bytes);
    raw = raw.subspan(out_bytes);
  }
  if (!raw.empty() || !data.empty()) fail_xorb("an LZ4 frame is shorter than its header says");
}

void ungroup(Bytes grouped, MutableBytes raw) {
  size_t at = 0;
  for (size_t group = 0; group < 4; ++group) {
    for (size_t i = group; i < raw.size(); i += 4) raw[i] = grouped[at++];
  }
}

}  // namespace

ChunkHeader parse_chunk_header(Bytes header) {
  ChunkHeader chunk{u24(header, 1), u24(header, 5), static_cast<uint8_t>(header[4])};
  if (header[0] != std::byte{0}) fail_xorb(fmt::format("chunk version {} (need 0)", static_cast<int>(header[0])));
  if (chunk.scheme > 2) fail_xorb(fmt::format("compression scheme {} (at most 2)", chunk.scheme));
  if (chunk.compressed_bytes == 0 || chunk.raw_bytes == 0) fail_xorb("an empty chunk");
  if (chunk.scheme == 0 && chunk.compressed_bytes != chunk.raw_bytes)
    fail_xorb("a stored chunk with two different sizes");
  return chunk;
}

void unpack_chunk(const ChunkHeader& header, Bytes data, std::vector<std::byte>& raw) {
  raw.resize(header.raw_bytes);
  if (header.scheme == 0) {
    std::memcpy(raw.data(), data.data(), raw.size());
  } else if (header.scheme == 1) {
    unpack_lz4(data, raw);
  } else {
    std::vector<std::byte> grouped(header.raw_bytes);
    unpack_lz4(data, grouped);
    ungroup(grouped, raw);
  }
}

void append_chunk_table(TemporaryFile& file) {
  std::vector<uint32_t> table;
  uint64_t size_bytes = file.size_bytes(), at = 0;
  while (at < size_bytes) {
    table.push_back(static_cast<uint32_t>(at));
    std::array<std::byte, kChunkHeaderBytes> header;
    if (size_bytes - at < header.size()) fail_xorb("the last chunk is truncated");
    file.read(at, header);
    ChunkHeader chunk = parse_chunk_header(header);
    if (chunk.compressed_bytes > size_bytes - at - header.size()) fail_xorb("the last chunk is truncated");
    at += header.size() + chunk.compressed_bytes;
  }
  if (table.empty()) fail_xorb("it has no chunks");
  auto chunks = static_cast<uint32_t>(table.size());
  table.push_back(static_cast<uint32_t>(at));
  table.push_back(chunks);
  file.append(std::as_bytes(std::span(table)));
}

XorbFile::XorbFile(const std::filesystem::path& path) : path_(path), file_(os::open_file(path, O_RDONLY)) {
  struct stat status{};
  if (::fstat(file_.get(), &status) != 0) throw system_error(errno, "cannot stat", path_.string());
  size_bytes_ = static_cast<uint64_t>(status.st_size);
  read(size_bytes_ - sizeof chunk_count_, std::as_writable_bytes(std::span(&chunk_count_, 1)));
}

void XorbFile::read(uint64_t offset, MutableBytes out) const {
  if (os::read_all_at(file_.get(), offset, out, path_.string()) != out.size())
    throw Error(Code::io, "", "is shorter than the table of chunks says", Where::in(path_.string()));
}

void XorbFile::each_chunk(uint32_t begin, uint32_t end, const std::function<void(Bytes)>& take) const {
  if (begin >= end || end > chunk_count_) {
    throw StoreError(StoreReason::malformed,
        fmt::format("the shard refers to chunks [{}, {}) of a xorb with {} chunks", begin, end, chunk_count_));
  }
  uint64_t table_begin = size_bytes_ - sizeof(uint32_t) * (uint64_t{chunk_count_} + 2);
  std::vector<std::byte> data, raw;
  for (uint32_t i = begin; i < end; ++i) {
    uint32_t bounds[2];
    read(table_begin + sizeof(uint32_t) * uint64_t{i}, std::as_writable_bytes(std::span(bounds)));
    data.resize(bounds[1] - bounds[0]);
    read(bounds[0], data);
    unpack_chunk(parse_chunk_header(data), Bytes(data).subspan(kChunkHeaderBytes), raw);
    take(raw);
  }
}

}  // namespace depickle::server::content
