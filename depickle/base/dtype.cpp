#include "depickle/base/dtype.h"

#include <algorithm>
#include <array>

namespace depickle {
namespace {

constexpr std::array<std::string_view, kDtypes> kNames = {"BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2",
    "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64",
    "I64", "U64"};

}  // namespace

std::string_view name(Dtype dtype) noexcept { return kNames[static_cast<size_t>(dtype)]; }

std::optional<Dtype> find_dtype(std::string_view name) noexcept {
  auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Dtype>(found - kNames.begin());
}

}  // namespace depickle
