// A hash table from names to numbers. The caller owns the names.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "depickle/base/large_memory.h"

namespace depickle::safetensors {

/// An open-addressing hash table. The hash is keyed with a secret of the process, so a file cannot contain names that
/// are chosen to collide.
class NameTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  NameTable() = default;
  /// Indexes the names name_of(0) … name_of(count - 1); count is below 2^31. Takes 12 to 24 bytes for each name.
  template <typename NameOf>
  NameTable(uint32_t count, NameOf&& name_of) : NameTable(count) {
    // Slots are far apart in memory. Each is prefetched some names before it is used, which hides most cache misses.
    constexpr uint32_t kAhead = 8;
    uint64_t hashes[kAhead] = {};
    for (uint32_t i = 0; i < count + kAhead; ++i) {
      if (i >= kAhead && i - kAhead < count) insert(hashes[i % kAhead], i - kAhead, name_of);
      if (i >= count) continue;
      hashes[i % kAhead] = hash(name_of(i));
      __builtin_prefetch(&slots_[hashes[i % kAhead] & mask_], 1);
    }
  }

  /// The number of a name that occurs with a smaller number too; kNone if all names are different.
  uint32_t repeated() const noexcept { return repeated_; }

  /// Returns the number of `name`, or kNone. `name_of` must be equivalent to the constructor's.
  template <typename NameOf>
  uint32_t find(std::string_view name, NameOf&& name_of) const {
    if (slots_.empty()) return kNone;
    return static_cast<uint32_t>(slots_[seek(hash(name), name, name_of)]) - 1;  // an empty slot gives 0 - 1 = kNone
  }

 private:
  static constexpr uint64_t kTag = 0xffffffff00000000;  ///< a slot is the hash's upper half and the number + 1

  explicit NameTable(uint32_t count);
  static uint64_t hash(std::string_view name);

  template <typename NameOf>
  void insert(uint64_t hashed, uint32_t number, NameOf&& name_of) {
    uint64_t slot = seek(hashed, name_of(number), name_of);
    if (slots_[slot] != 0) repeated_ = number;
    slots_[slot] = (hashed & kTag) | (number + 1);
  }

  // Returns the slot that contains `name`, or the empty slot for it. At least a third of the slots are empty.
  template <typename NameOf>
  uint64_t seek(uint64_t hashed, std::string_view name, NameOf&& name_of) const {
    for (uint64_t slot = hashed & mask_;; slot = (slot + 1) & mask_) {
      uint64_t value = slots_[slot];
      if (value == 0) return slot;
      if ((value & kTag) == (hashed & kTag) && name_of(static_cast<uint32_t>(value) - 1) == name) return slot;
    }
  }

  std::vector<uint64_t, LargeAllocator<uint64_t>> slots_;
  uint64_t mask_ = 0;
  uint32_t repeated_ = kNone;
};

}  // namespace depickle::safetensors
