#include "depickle/formats/safetensors/tensor_error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace depickle::safetensors {

std::string shape_text(std::span<const uint64_t> shape) {
  constexpr size_t kMaxShown = 16;
  if (shape.size() <= kMaxShown) return fmt::format("[{}]", fmt::join(shape, ", "));
  return fmt::format("[{}, … {} dimensions]", fmt::join(shape.first(kMaxShown), ", "), shape.size());
}

Error tensor_error(std::string_view rule, std::string what, std::string_view tensor) {
  return Error(Code::malformed, rule, std::move(what), Where::of(tensor));
}

}  // namespace depickle::safetensors
