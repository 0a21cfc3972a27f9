#include "depickle/base/tensor.h"

#include <algorithm>

namespace depickle {

bool Tensor::is_contiguous() const noexcept {
  if (size_bytes == 0) return true;
  return !conjugate && !negate && !swap && is_c_order(dtype, shape, strides);
}

std::optional<uint64_t> tensor_bytes(Dtype dtype, std::span<const uint64_t> shape) noexcept {
  // Multiplied in order from 1, as the reference does: an overflow before a zero is still an overflow.
  uint64_t count = 1, total_bits = 0;
  for (uint64_t dimension : shape) {
    if (__builtin_mul_overflow(count, dimension, &count)) return std::nullopt;
  }
  if (__builtin_mul_overflow(count, bits(dtype), &total_bits) || total_bits % 8 != 0) return std::nullopt;
  return total_bits / 8;
}

bool is_c_order(Dtype dtype, std::span<const uint64_t> shape, std::span<const uint64_t> strides) noexcept {
  if (strides.empty() || std::ranges::find(shape, 0u) != shape.end()) return true;
  uint64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    uint64_t units = i + 1 == shape.size() && bits(dtype) == 4 ? shape[i] / 2 : shape[i];
    if (units != 1 && strides[i] != expected) return false;
    expected *= units;
  }
  return true;
}

}  // namespace depickle
