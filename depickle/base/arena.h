// Memory for many small things that die together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "depickle/base/large_memory.h"

namespace depickle {

/// Hands out memory that lives as long as the arena; moving the arena does not move what it handed out.
/// Blocks grow slowly, so little is wasted and nothing is ever copied to grow; from 1 MiB in all they are huge pages.
class Arena {
 public:
  /// Uninitialised room for `count` values.
  template <typename Value>
  std::span<Value> make(size_t count) {
    static_assert(std::is_trivially_destructible_v<Value> && alignof(Value) <= alignof(std::max_align_t));
    return {reinterpret_cast<Value*>(take(count * sizeof(Value), alignof(Value))), count};
  }

  std::string_view copy(std::string_view text) {
    std::span<char> room = make<char>(text.size());
    std::copy(text.begin(), text.end(), room.begin());
    return {room.data(), room.size()};
  }

  template <typename Value>
  std::span<const Value> copy(std::span<const Value> values) {
    std::span<Value> room = make<Value>(values.size());
    std::copy(values.begin(), values.end(), room.begin());
    return room;
  }

 private:
  static constexpr size_t kFirstBlockBytes = 16 << 10, kBlockBytes = 256 << 10, kLargeBlockBytes = 2 << 20,
                          kLargeFromBytes = 1 << 20;

  std::byte* take(size_t size, size_t alignment) {
    size_t at = (used_ + alignment - 1) / alignment * alignment;
    if (blocks_.empty() || at + size > capacity_) {
      size_t block_bytes = blocks_.empty()                  ? kFirstBlockBytes
                           : total_bytes_ < kLargeFromBytes ? kBlockBytes
                                                            : kLargeBlockBytes;
      capacity_ = std::max(size, block_bytes);
      total_bytes_ += capacity_;
      blocks_.emplace_back(static_cast<std::byte*>(allocate_large(capacity_)));
      at = 0;
    }
    used_ = at + size;
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
