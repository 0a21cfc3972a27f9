// Blocks of a remote file, evicted by least recent use.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "depickle/base/bytes.h"

namespace depickle::hub {

/// Splits [0, size) into blocks of 64 KiB and fetches runs of them. Each fetch that begins where the last one ended is
/// twice as large, up to 8 MiB. Safe to use from several threads: a block is fetched once, and the other threads wait
/// for it.
class BlockCache {
 public:
  static constexpr uint64_t kBlockBytes = 64 << 10, kMaxAheadBytes = 8 << 20, kMaxBytes = 16 << 20;
  /// Fills `out` with the bytes from `offset`.
  using Fetch = std::function<void(uint64_t offset, MutableBytes out)>;

  BlockCache(uint64_t size_bytes, Fetch fetch) : size_bytes_(size_bytes), fetch_(std::move(fetch)) {}

  /// The range must be inside the file. Throws what `fetch` throws.
  void read(uint64_t offset, MutableBytes out);
  /// Stores the complete blocks of bytes that were received another way.
  void store(uint64_t offset, Bytes bytes);

 private:
  struct Block {
    std::unique_ptr<std::byte[]> bytes;  ///< null while the block is fetched
    std::list<uint64_t>::iterator use;
  };

  uint64_t end_of(uint64_t block) const { return std::min(size_bytes_, (block + 1) * kBlockBytes); }
  uint64_t run_end(uint64_t first, uint64_t wanted_end);
  void fetch_run(std::unique_lock<std::mutex>& lock, uint64_t first, uint64_t end);
  void put(uint64_t block, Bytes bytes);

  const uint64_t size_bytes_;
  const Fetch fetch_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<uint64_t, Block> blocks_;
  std::list<uint64_t> uses_;  ///< block numbers, most recent use first
  uint64_t next_ = 0;         ///< the block after the last fetch
  uint64_t ahead_bytes_ = kBlockBytes;
};

}  // namespace depickle::hub
