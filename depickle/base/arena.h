// An arena: memory for many small values that are freed together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "depickle/base/large_memory.h"

namespace depickle {

/// Allocates memory that is valid as long as the arena; moving the arena does not invalidate it. Blocks are never
/// copied to grow. When the total exceeds 1 MiB, new blocks are in huge pages. Throws std::bad_alloc, also for sizes
/// that overflow.
class Arena {
 public:
  /// Returns uninitialized memory for `count` values.
  template <typename Value>
  std::span<Value> make(size_t count) {
    static_assert(std::is_trivially_destructible_v<Value> && alignof(Value) <= alignof(std::max_align_t));
    if (count > SIZE_MAX / sizeof(Value)) throw std::bad_alloc();
    return {reinterpret_cast<Value*>(allocate(count * sizeof(Value), alignof(Value))), count};
  }

  std::string_view copy(std::string_view text) {
    std::span<char> out = make<char>(text.size());
    std::copy(text.begin(), text.end(), out.begin());
    return {out.data(), out.size()};
  }

  template <typename Value>
  std::span<const Value> copy(std::span<const Value> values) {
    std::span<Value> out = make<Value>(values.size());
    std::copy(values.begin(), values.end(), out.begin());
    return out;
  }

 private:
  static constexpr size_t kFirstBlockBytes = 16 << 10, kBlockBytes = 256 << 10, kLargeBlockBytes = 2 << 20,
                          kLargeFromBytes = 1 << 20;

  std::byte* allocate(size_t size_bytes, size_t alignment) {
    size_t at = (used_ + alignment - 1) / alignment * alignment;
    if (blocks_.empty() || at > capacity_ || size_bytes > capacity_ - at) {
      size_t block_bytes = blocks_.empty()                  ? kFirstBlockBytes
                           : total_bytes_ < kLargeFromBytes ? kBlockBytes
                                                            : kLargeBlockBytes;
      const size_t capacity = std::max(size_bytes, block_bytes);
      blocks_.emplace_back(static_cast<std::byte*>(allocate_large(capacity)));
      capacity_ = capacity;
      total_bytes_ += capacity;
      at = 0;
    }
    used_ = at + size_bytes;
    return blocks_.back().get() + at;
  }

  struct Free {
    void operator()(std::byte* block) const noexcept { std::free(block); }
  };
  std::vector<std::unique_ptr<std::byte, Free>> blocks_;
  size_t used_ = 0;
  size_t capacity_ = 0;
  size_t total_bytes_ = 0;
};

}  // namespace depickle
