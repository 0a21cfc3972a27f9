// Errors about one tensor. Internal to the module.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "depickle/base/error.h"

namespace depickle::safetensors {

/// Returns "[2, 3]". Shapes of more than 16 dimensions are shortened with "…".
std::string shape_text(std::span<const uint64_t> shape);

/// Returns Error{malformed} with the tensor's name.
Error tensor_error(std::string_view rule, std::string what, std::string_view tensor);

}  // namespace depickle::safetensors
