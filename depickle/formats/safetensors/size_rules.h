// The size of a tensor (rules ST13, ST14), for reading and for writing headers. Internal to the module.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "depickle/base/dtype.h"

namespace depickle::safetensors {

/// Returns the size of a tensor in bytes. Throws Error{malformed} with the tensor's name: ST13 if the product of the
/// dimensions or the number of bits overflows 64 bits (also if a later dimension is 0, as in the reference); ST14 if a
/// sub-byte dtype does not end on a byte boundary.
uint64_t checked_tensor_bytes(Dtype dtype, std::span<const uint64_t> shape, std::string_view tensor);

}  // namespace depickle::safetensors
