// The 22 dtypes of the safetensors format.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace depickle {

/// In the order of the reference library, which writes tensors in the reverse order. The names are those of the format.
enum class Dtype : uint8_t {
  BOOL,
  F4,
  F6_E2M3,
  F6_E3M2,
  U8,
  I8,
  F8_E5M2,
  F8_E4M3,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  F64,
  I64,
  U64,
};
inline constexpr int kDtypes = 22;

/// Returns the name in headers: "F32".
std::string_view name(Dtype dtype) noexcept;
/// Returns the dtype with this name (case-sensitive), or nullopt.
std::optional<Dtype> find_dtype(std::string_view name) noexcept;

/// Returns the bits of one element: 4, 6, 8, 16, 32 or 64. C64 is a pair of F32.
constexpr uint32_t bits(Dtype dtype) noexcept {
  constexpr uint8_t kBits[kDtypes] = {8, 4, 6, 6, 8, 8, 8, 8, 8, 8, 8, 16, 16, 16, 16, 32, 32, 32, 64, 64, 64, 64};
  return kBits[static_cast<int>(dtype)];
}

/// Returns the unit of strides: the size of an element, or 1 for the sub-byte dtypes, which are packed.
constexpr uint32_t unit_bytes(Dtype dtype) noexcept { return bits(dtype) < 8 ? 1 : bits(dtype) / 8; }

}  // namespace depickle
