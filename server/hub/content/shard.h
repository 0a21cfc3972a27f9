// Shards of the xet protocol: which chunks of which xorbs make up each file. Internal to this module.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "depickle/base/bytes.h"

namespace depickle::server::content {

/// Chunks [begin, end) of one xorb.
struct ShardSegment {
  std::string xorb;  ///< its hash, as text
  uint32_t raw_bytes;
  uint32_t begin, end;
};

struct ShardFile {
  std::string sha256;
  Bytes segments;  ///< the segment records; a view into the shard
  uint64_t segment_count() const { return segments.size() / 48; }
  ShardSegment segment(uint64_t i) const;
};

/// Returns the files that a shard describes, as views into `shard`. Throws StoreError{malformed}, also for a file
/// without a SHA-256.
std::vector<ShardFile> parse_shard(Bytes shard);

/// Returns 32 bytes of a hash field as text: four little-endian 64-bit numbers in hexadecimal, as in addresses.
std::string hash_text(Bytes field);

}  // namespace depickle::server::content
