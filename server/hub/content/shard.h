// Shards of the xet protocol: which chunks of which xorbs make up each file. Internal to this module.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "depickle/base/bytes.h"

namespace depickle::server::content {

/// The content of a shard, which may be in a file.
struct ShardBytes {
  uint64_t size_bytes;
  /// Fills the block from `offset_bytes`. Called for bytes inside the shard only.
  std::function<void(uint64_t offset_bytes, MutableBytes out)> read;
};

/// Chunks [begin, end) of one xorb.
struct ShardSegment {
  std::string xorb;  ///< its hash, as text
  uint32_t raw_bytes;
  uint32_t begin, end;
};

struct ShardFile {
  std::string sha256;
  uint64_t segments_offset;  ///< of the segment records in the shard
  uint64_t segment_count;
};

/// Calls `take` for each file that a shard describes. Reads some records at a time. Throws StoreError{malformed}, also
/// for a file without a SHA-256.
void each_file(const ShardBytes& shard, const std::function<void(const ShardFile&)>& take);
/// Calls `take` for each segment of a file.
void each_segment(const ShardBytes& shard, const ShardFile& file, const std::function<void(const ShardSegment&)>& take);

/// Returns 32 bytes of a hash field as text: four little-endian 64-bit numbers in hexadecimal, as in addresses.
std::string hash_text(Bytes field);

}  // namespace depickle::server::content
