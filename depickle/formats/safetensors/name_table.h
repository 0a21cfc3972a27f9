// Names → numbers, for names that somebody else keeps.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "depickle/base/large_memory.h"

namespace depickle::safetensors {

/// An open-addressing hash table. The hash is keyed with a secret of the process, so that no file can be made whose names
/// all meet in one place.
class NameTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  NameTable() = default;
  /// Of the names name_of(0) … name_of(count - 1), fewer than 2^31, which somebody else keeps. Takes 12 to 24 bytes for each.
  template <typename NameOf>
  NameTable(uint32_t count, NameOf&& name_of) : NameTable(count) {
    // The slots are far apart in memory; asking for them some names ahead takes most of the waiting out.
    constexpr uint32_t kAhead = 8;
    uint64_t hashes[kAhead] = {};
    for (uint32_t i = 0; i < count + kAhead; ++i) {
      if (i >= kAhead && i - kAhead < count) insert(hashes[i % kAhead], i - kAhead, name_of);
      if (i >= count) continue;
      hashes[i % kAhead] = hash(name_of(i));
      __builtin_prefetch(&slots_[hashes[i % kAhead] & mask_], 1);
    }
  }

  /// A number whose name an earlier one has too; kNone where all names differ.
  uint32_t repeated() const noexcept { return repeated_; }

  /// The number of `name`, or kNone. `name_of` is that of the constructor.
  template <typename NameOf>
  uint32_t find(std::string_view name, NameOf&& name_of) const {
    if (slots_.empty()) return kNone;
    return static_cast<uint32_t>(slots_[seek(hash(name), name, name_of)]) - 1;  // an empty slot gives 0 - 1 = kNone
  }

 private:
  static constexpr uint64_t kTag = 0xffffffff00000000;  ///< a slot is the hash's upper half and the number + 1

  explicit NameTable(uint32_t count);
  static uint64_t hash(std::string_view name) noexcept;

  template <typename NameOf>
  void insert(uint64_t hashed, uint32_t number, NameOf&& name_of) {
    uint64_t slot = seek(hashed, name_of(number), name_of);
    if (slots_[slot] != 0) repeated_ = number;
    slots_[slot] = (hashed & kTag) | (number + 1);
  }

  // The slot that holds `name`, or the empty one where it would go. At least a third of the slots are empty.
  template <typename NameOf>
  uint64_t seek(uint64_t hashed, std::string_view name, NameOf&& name_of) const {
    for (uint64_t slot = hashed & mask_;; slot = (slot + 1) & mask_) {
      uint64_t held = slots_[slot];
      if (held == 0) return slot;
      if ((held & kTag) == (hashed & kTag) && name_of(static_cast<uint32_t>(held) - 1) == name) return slot;
    }
  }

  std::vector<uint64_t, LargeAllocator<uint64_t>> slots_;
  uint64_t mask_ = 0;
  uint32_t repeated_ = kNone;
};

}  // namespace depickle::safetensors
