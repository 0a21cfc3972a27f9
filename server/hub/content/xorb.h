// Xorbs of the xet protocol: consecutive chunks, each with a header of 8 bytes. Internal to this module.
//
//   version 0 (u8) | compressed bytes (u24 LE) | scheme (u8) | raw bytes (u24 LE) | data …
//
// Scheme 0: stored; 1: an LZ4 frame; 2: an LZ4 frame of the bytes in four groups, by their position modulo 4.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/os/file_descriptor.h"
#include "server/base/temporary_file.h"

namespace depickle::server::content {

struct Context;

constexpr uint64_t kChunkHeaderBytes = 8;

struct ChunkHeader {
  uint32_t compressed_bytes;
  uint32_t raw_bytes;
  uint8_t scheme;
};

/// Throws StoreError{malformed}.
ChunkHeader parse_chunk_header(Bytes header);
/// Decompresses `data` into `raw`, exactly raw_bytes of the header. Throws StoreError{malformed}.
void unpack_chunk(const ChunkHeader& header, Bytes data, std::vector<std::byte>& raw);

/// Appends a table of chunks to the xorb in `file`, so that one chunk can be read without the others: the offset of
/// each chunk and the end of the last one (u32 each), then the number of chunks (u32). Returns the hash of the xorb, as
/// text. Throws StoreError{malformed} if a chunk is damaged, or if the headers are not consistent with the size.
std::string append_chunk_table(TemporaryFile& file);

/// The place of a chunk in an LFS object.
struct ChunkPlace {
  uint64_t offset_bytes;
  uint32_t raw_bytes;  ///< 0: unknown
  uint32_t object;     ///< index in the list of objects
};

/// Writes a file that takes the place of a xorb: it only names where the chunks are. The SHA-256 of the objects, 64
/// digits each; the places; the number of objects and of chunks (u32 each) and a magic number (u64).
void write_places(TemporaryFile& file, const std::vector<std::string>& objects, const std::vector<ChunkPlace>& places);

/// A stored xorb, or the file of write_places().
class XorbFile {
 public:
  /// Throws Error{not_found, io}; StoreError{malformed} if the file is damaged.
  XorbFile(const Context& context, const std::filesystem::path& path);

  uint32_t chunk_count() const noexcept { return chunk_count_; }
  /// Returns whether the chunks are in LFS objects.
  bool is_in_objects() const noexcept { return !objects_.empty(); }
  const std::vector<std::string>& objects() const noexcept { return objects_; }
  /// Calls `take` with the raw bytes of each chunk of [begin, end). Throws StoreError{malformed} if a chunk does not
  /// exist; Error{not_found} if its object was removed.
  void each_chunk(uint32_t begin, uint32_t end, const std::function<void(Bytes)>& take) const;

 private:
  void read(uint64_t offset, MutableBytes out) const;
  void read_objects();
  void each_place(uint32_t begin, uint32_t end, const std::function<void(Bytes)>& take) const;

  const Context& context_;
  std::filesystem::path path_;
  os::FileDescriptor file_;
  uint64_t size_bytes_ = 0;
  uint32_t chunk_count_ = 0;
  std::vector<std::string> objects_;
};

}  // namespace depickle::server::content
