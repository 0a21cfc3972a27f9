// Memory for large tables. Taking fresh memory 4 KiB at a time costs more than filling it (2 µs a page on a virtual machine);
// huge pages make that cost disappear, where the kernel gives them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace depickle {

/// Uninitialised memory for std::free. From 1 MiB on it lies in huge pages (2 MiB), where the kernel has them on offer.
/// Throws std::bad_alloc.
void* allocate_large(size_t size_bytes);

/// For standard containers that may grow large.
template <typename Value>
struct LargeAllocator {
  using value_type = Value;
  LargeAllocator() = default;
  template <typename Other>
  LargeAllocator(const LargeAllocator<Other>&) noexcept {}

  Value* allocate(size_t count) {
    return static_cast<Value*>(allocate_large(count > SIZE_MAX / sizeof(Value) ? SIZE_MAX : count * sizeof(Value)));
  }
  void deallocate(Value* values, size_t) noexcept { std::free(values); }
  friend bool operator==(LargeAllocator, LargeAllocator) noexcept { return true; }
};

}  // namespace depickle
