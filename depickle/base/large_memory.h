// Memory for large tables. A page fault for each 4 KiB costs more than filling the page (2 µs per page on a virtual
// machine); huge pages avoid most of these faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace depickle {

/// Returns uninitialized memory, to be freed with std::free. From 1 MiB on it is in huge pages (2 MiB) if available.
/// Throws std::bad_alloc.
void* allocate_large(size_t size_bytes);

/// An allocator for standard containers that may become large.
template <typename Value>
struct LargeAllocator {
  using value_type = Value;
  LargeAllocator() = default;
  template <typename Other>
  explicit LargeAllocator(const LargeAllocator<Other>&) noexcept {}

  Value* allocate(size_t count) {
    return static_cast<Value*>(allocate_large(count > SIZE_MAX / sizeof(Value) ? SIZE_MAX : count * sizeof(Value)));
  }
  void deallocate(Value* values, size_t) noexcept { std::free(values); }
  friend bool operator==(LargeAllocator, LargeAllocator) noexcept { return true; }
};

}  // namespace depickle
