#include "depickle/hub/block_cache.h"

#include <algorithm>
#include <vector>

namespace depickle::hub {

void BlockCache::read(uint64_t offset, MutableBytes out) {
  std::unique_lock lock(mutex_);
  const uint64_t end = offset + out.size();
  for (uint64_t at = offset; at < end;) {
    const uint64_t block = at / kBlockBytes;
    const auto found = blocks_.find(block);
    if (found == blocks_.end()) {
      fetch_run(lock, block, run_end(block, (end + kBlockBytes - 1) / kBlockBytes));
      continue;
    }
    if (!found->second.bytes) {
      changed_.wait(lock);
      continue;
    }
    uses_.splice(uses_.begin(), uses_, found->second.use);
    const uint64_t length = std::min(end, end_of(block)) - at;
    std::copy_n(found->second.bytes.get() + at % kBlockBytes, length, out.data() + (at - offset));
    at += length;
  }
}

// The end of the run to fetch for the missing block `first`: the wanted blocks and those to read ahead, up to a block
// that is cached.
uint64_t BlockCache::run_end(uint64_t first, uint64_t wanted_end) {
  ahead_bytes_ = first == next_ && first > 0 ? std::min(ahead_bytes_ * 2, kMaxAheadBytes) : kBlockBytes;
  const uint64_t max_end = first + kMaxAheadBytes / kBlockBytes;
  const uint64_t goal = std::min({std::max(wanted_end, first + ahead_bytes_ / kBlockBytes), max_end,
      (size_bytes_ + kBlockBytes - 1) / kBlockBytes});
  uint64_t end = first + 1;
  while (end < goal && !blocks_.contains(end)) ++end;
  return end;
}

void BlockCache::fetch_run(std::unique_lock<std::mutex>& lock, uint64_t first, uint64_t end) {
  for (uint64_t block = first; block < end; ++block) blocks_[block].use = uses_.end();
  next_ = end;
  lock.unlock();
  const uint64_t offset = first * kBlockBytes, length = end_of(end - 1) - offset;
  try {
    const auto bytes = std::make_unique_for_overwrite<std::byte[]>(length);
    fetch_(offset, {bytes.get(), length});
    lock.lock();
    for (uint64_t block = first; block < end; ++block)
      put(block, Bytes(bytes.get() + (block - first) * kBlockBytes, end_of(block) - block * kBlockBytes));
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    for (uint64_t block = first; block < end; ++block) {
      if (auto found = blocks_.find(block); found != blocks_.end() && !found->second.bytes) blocks_.erase(found);
    }
    changed_.notify_all();
    throw;
  }
  changed_.notify_all();
}

void BlockCache::put(uint64_t block, Bytes bytes) {
  Block& cached = blocks_[block];
  if (cached.bytes) return;
  cached.bytes = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
  std::ranges::copy(bytes, cached.bytes.get());
  uses_.push_front(block);
  cached.use = uses_.begin();
  while (uses_.size() > kMaxBytes / kBlockBytes) {
    blocks_.erase(uses_.back());
    uses_.pop_back();
  }
}

void BlockCache::store(uint64_t offset, Bytes bytes) {
  std::scoped_lock lock(mutex_);
  const uint64_t end = offset + bytes.size();
  for (uint64_t block = (offset + kBlockBytes - 1) / kBlockBytes; block * kBlockBytes < end && end_of(block) <= end;
      ++block)
    put(block, bytes.subspan(block * kBlockBytes - offset, end_of(block) - block * kBlockBytes));
}

}  // namespace depickle::hub
