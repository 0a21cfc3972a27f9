// How many bytes a tensor takes (rules ST13, ST14), for headers that are read and headers that are written. Internal.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "depickle/base/dtype.h"

namespace depickle::safetensors {

/// Throws Error{malformed} naming the tensor: ST13 where the product of the dimensions, or its bits, overflow 64 bits (a zero
/// behind the overflow does not help, as in the reference); ST14 where a sub-byte dtype does not end on a byte.
uint64_t checked_tensor_bytes(Dtype dtype, std::span<const uint64_t> shape, std::string_view tensor);

}  // namespace depickle::safetensors
