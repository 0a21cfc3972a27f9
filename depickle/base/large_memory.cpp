#include "depickle/base/large_memory.h"

#include <sys/mman.h>

#include <new>

namespace depickle {

void* allocate_large(size_t size_bytes) {
  constexpr size_t kHugePageBytes = size_t{2} << 20;
  if (size_bytes < kHugePageBytes / 2) {
    if (void* memory = std::malloc(size_bytes)) return memory;
    throw std::bad_alloc();
  }
  size_t rounded_bytes = size_bytes + (kHugePageBytes - size_bytes % kHugePageBytes) % kHugePageBytes;
  void* memory = rounded_bytes < size_bytes ? nullptr : std::aligned_alloc(kHugePageBytes, rounded_bytes);
  if (!memory) throw std::bad_alloc();
  ::madvise(memory, rounded_bytes, MADV_HUGEPAGE);  // a hint; without huge pages it is ordinary memory
  return memory;
}

}  // namespace depickle
