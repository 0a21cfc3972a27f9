// A xorb: chunks back to back, each with a head of 8 bytes. Inside the store only.
//
//   version 0 (u8) | compressed bytes (u24 LE) | scheme (u8) | raw bytes (u24 LE) | data …
//
// Scheme 0: stored; 1: an LZ4 frame; 2: an LZ4 frame of the bytes in four groups, by their position modulo 4.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "depickle/base/bytes.h"
#include "server/base/temporary_file.h"

namespace depickle::server {

constexpr uint64_t kChunkHeadBytes = 8;

struct ChunkHead {
  uint32_t compressed_bytes;
  uint32_t raw_bytes;
  uint8_t scheme;
};

/// Throws StoreError{malformed}.
ChunkHead parse_chunk_head(Bytes head);
/// `data` unpacked into `raw`, exactly raw_bytes of the head. Throws StoreError{malformed}.
void unpack_chunk(const ChunkHead& head, Bytes data, std::vector<std::byte>& raw);

/// Adds the table of chunks to the xorb in `file`, so that one of them is found without reading the others: their begins and the end
/// of the last (u32 each), then their number. Throws StoreError{malformed} where the heads do not add up.
void append_chunk_table(TemporaryFile& file);

/// A stored xorb.
class XorbFile {
 public:
  /// Throws Error{not_found, io}.
  explicit XorbFile(const std::filesystem::path& file);
  ~XorbFile();
  XorbFile(const XorbFile&) = delete;
  XorbFile& operator=(const XorbFile&) = delete;

  uint32_t chunks() const noexcept { return chunks_; }
  /// Calls `take` with the raw bytes of each chunk of [begin, end). Throws StoreError{malformed} where they are not all there.
  void each_chunk(uint32_t begin, uint32_t end, const std::function<void(Bytes)>& take) const;

 private:
  void read(uint64_t offset, MutableBytes out) const;
  std::filesystem::path file_;
  int fd_;
  uint64_t size_bytes_ = 0;
  uint32_t chunks_ = 0;
};

}  // namespace depickle::server
