// Words of this module's errors. Internal.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "depickle/base/error.h"

namespace depickle::safetensors {

/// [2, 3]; long shapes are cut and closed with "…".
std::string shape_text(std::span<const uint64_t> shape);

/// Error{malformed} about a tensor.
Error tensor_error(std::string_view rule, std::string what, std::string_view tensor);

}  // namespace depickle::safetensors
