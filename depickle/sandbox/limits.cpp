#include "depickle/sandbox/limits.h"

#include <algorithm>

namespace depickle::sandbox {
namespace {

constexpr uint64_t kGigabyte = 1'000'000'000;
constexpr uint64_t kMaxInputBytes = uint64_t{1} << 50;  // keeps the products below from overflowing

}  // namespace

ResourceLimits limits_for(ResourceLimits limits, uint64_t input_bytes) noexcept {
  input_bytes = std::min(input_bytes, kMaxInputBytes);
  if (limits.cpu_seconds == 0) limits.cpu_seconds = 300 + input_bytes / 1'000'000;
  if (limits.file_bytes == 0) limits.file_bytes = 16 * kGigabyte + 32 * input_bytes;
  return limits;
}

uint64_t max_read_bytes(uint64_t input_bytes) noexcept {
  return 4 * kGigabyte + 16 * std::min(input_bytes, kMaxInputBytes);
}

}  // namespace depickle::sandbox
