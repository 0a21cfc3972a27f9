// A shard: which chunks of which xorbs make which file. Inside the store only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "depickle/base/bytes.h"

namespace depickle::server {

/// Chunks [begin, end) of one xorb.
struct ShardSegment {
  std::string xorb;  ///< its hash as in addresses
  uint32_t raw_bytes;
  uint32_t begin, end;
};

struct ShardFile {
  std::string sha256;
  Bytes segments;  ///< the records, in the shard
  uint64_t count() const { return segments.size() / 48; }
  ShardSegment segment(uint64_t i) const;
};

/// The files that a shard describes; views into `shard`. Throws StoreError{malformed}: also for a file without SHA-256.
std::vector<ShardFile> parse_shard(Bytes shard);

/// 32 bytes of a hash field as addresses write it: four little-endian 64-bit numbers, so each group of eight bytes is reversed.
std::string hash_text(Bytes field);

}  // namespace depickle::server
