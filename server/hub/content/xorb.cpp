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
#include "server/hub/content/context.h"
#include "server/hub/content/xorb_hash.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::content {
namespace {

// A stored xorb ends with its number of chunks, which is smaller than the last half of this number.
constexpr uint64_t kPlacesMagic = 0xffffffff'53454c50;
constexpr uint64_t kOidDigits = 64;

// Of the protocol.
constexpr uint32_t kMaxRawBytes = 128 << 10, kMaxCompressedBytes = 256 << 10;
constexpr size_t kMaxChunks = 8192;

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

std::string append_chunk_table(TemporaryFile& file) {
  std::vector<uint32_t> table;
  std::vector<HashedChunk> hashes;
  std::vector<std::byte> data, raw;
  uint64_t size_bytes = file.size_bytes(), at = 0;
  while (at < size_bytes) {
    table.push_back(static_cast<uint32_t>(at));
    std::array<std::byte, kChunkHeaderBytes> header;
    if (size_bytes - at < header.size()) fail_xorb("the last chunk is truncated");
    file.read(at, header);
    ChunkHeader chunk = parse_chunk_header(header);
    if (chunk.compressed_bytes > size_bytes - at - header.size()) fail_xorb("the last chunk is truncated");
    if (chunk.raw_bytes > kMaxRawBytes || chunk.compressed_bytes > kMaxCompressedBytes || hashes.size() == kMaxChunks)
      fail_xorb("a chunk is too large, or there are too many");
    data.resize(chunk.compressed_bytes);
    file.read(at + header.size(), data);
    unpack_chunk(chunk, data, raw);
    hashes.push_back({chunk_hash(raw), chunk.raw_bytes});
    at += header.size() + chunk.compressed_bytes;
  }
  if (table.empty()) fail_xorb("it has no chunks");
  auto chunks = static_cast<uint32_t>(table.size());
  table.push_back(static_cast<uint32_t>(at));
  table.push_back(chunks);
  file.append(std::as_bytes(std::span(table)));
  return xorb_hash(std::move(hashes));
}

void write_places(TemporaryFile& file, const std::vector<std::string>& objects, const std::vector<ChunkPlace>& places) {
  for (const std::string& oid : objects) file.append(bytes(oid));
  file.append(std::as_bytes(std::span(places)));
  const uint32_t counts[] = {static_cast<uint32_t>(objects.size()), static_cast<uint32_t>(places.size())};
  file.append(std::as_bytes(std::span(counts)));
  file.append(std::as_bytes(std::span(&kPlacesMagic, 1)));
}

XorbFile::XorbFile(const Context& context, const std::filesystem::path& path)
    : context_(context),
      path_(path),
      file_(os::open_file(path, O_RDONLY)) {
  struct stat status{};
  if (::fstat(file_.get(), &status) != 0) throw system_error(errno, "cannot stat", path_.string());
  size_bytes_ = static_cast<uint64_t>(status.st_size);
  uint64_t magic = 0;
  if (size_bytes_ >= sizeof magic) read(size_bytes_ - sizeof magic, std::as_writable_bytes(std::span(&magic, 1)));
  if (magic == kPlacesMagic) {
    read_objects();
    return;
  }
  chunk_count_ = static_cast<uint32_t>(magic >> 32);
  if (size_bytes_ < sizeof(uint32_t) * (uint64_t{chunk_count_} + 2)) fail_xorb("its file is damaged");
}

void XorbFile::read_objects() {
  constexpr uint64_t kTailBytes = 2 * sizeof(uint32_t) + sizeof kPlacesMagic;
  uint32_t counts[2] = {};
  if (size_bytes_ >= kTailBytes) read(size_bytes_ - kTailBytes, std::as_writable_bytes(std::span(counts)));
  if (counts[0] == 0 || size_bytes_ != kOidDigits * counts[0] + sizeof(ChunkPlace) * uint64_t{counts[1]} + kTailBytes)
    fail_xorb("its file is damaged");
  chunk_count_ = counts[1];
  objects_.assign(counts[0], std::string(kOidDigits, '\0'));
  for (uint32_t i = 0; i < counts[0]; ++i) read(kOidDigits * i, std::as_writable_bytes(std::span(objects_[i])));
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
  if (is_in_objects()) return each_place(begin, end, take);
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

void XorbFile::each_place(uint32_t begin, uint32_t end, const std::function<void(Bytes)>& take) const {
  std::vector<ChunkPlace> places(end - begin);
  read(kOidDigits * objects_.size() + sizeof(ChunkPlace) * uint64_t{begin}, std::as_writable_bytes(std::span(places)));
  os::FileDescriptor object;
  uint32_t opened = UINT32_MAX;
  std::filesystem::path path;
  std::vector<std::byte> raw;
  for (const ChunkPlace& place : places) {
    if (place.object >= objects_.size()) fail_xorb("its file is damaged");
    if (place.object != opened) {
      opened = place.object;
      path = context_.lfs_file(objects_[opened]);
      object = os::open_file(path, O_RDONLY);
    }
    raw.resize(place.raw_bytes);
    if (os::read_all_at(object.get(), place.offset_bytes, raw, path.string()) != raw.size())
      fail_xorb("its file is damaged");
    take(raw);
  }
}

}  // namespace depickle::server::content
