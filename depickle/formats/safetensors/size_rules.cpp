#include "depickle/formats/safetensors/size_rules.h"

#include <fmt/format.h>

#include "depickle/formats/safetensors/tensor_error.h"

namespace depickle::safetensors {

uint64_t checked_tensor_bytes(Dtype dtype, std::span<const uint64_t> shape, std::string_view tensor) {
  uint64_t count = 1, all_bits = 0;
  bool overflows = false;
  for (uint64_t dimension : shape) overflows |= __builtin_mul_overflow(count, dimension, &count);
  if (overflows || __builtin_mul_overflow(count, uint64_t{bits(dtype)}, &all_bits))
    throw tensor_error(
        "ST13", fmt::format("shape {} of {} needs more than 2^64 bits", shape_text(shape), name(dtype)), tensor);
  if (all_bits % 8 != 0)
    throw tensor_error("ST14",
        fmt::format(
            "shape {} of {} does not end on a byte boundary (needs {} bits)", shape_text(shape), name(dtype), all_bits),
        tensor);
  return all_bits / 8;
}

}  // namespace depickle::safetensors
