// The hashes of the xet protocol: BLAKE3 with fixed keys. Internal to this module and its tests.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "depickle/base/bytes.h"

namespace depickle::server::content {

using Hash = std::array<std::byte, 32>;

/// Returns the BLAKE3 of `data` in keyed mode.
Hash keyed_blake3(const Hash& key, Bytes data);

/// Returns the hash of a chunk's raw bytes.
Hash chunk_hash(Bytes raw);

struct HashedChunk {
  Hash hash;
  uint64_t raw_bytes;
};

/// Returns the hash of a xorb, as text: the root of a Merkle tree over its chunks.
std::string xorb_hash(std::vector<HashedChunk> chunks);

}  // namespace depickle::server::content
