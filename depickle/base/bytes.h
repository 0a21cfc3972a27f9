// Views of bytes, and little-endian numbers in them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace depickle {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

static_assert(std::endian::native == std::endian::little, "depickle reads and writes little-endian files in place");

/// Returns the little-endian number at `offset`. The caller checks that it is within `bytes`.
template <typename Number>
Number load(Bytes bytes, uint64_t offset) noexcept {
  Number number;
  std::memcpy(&number, bytes.data() + offset, sizeof number);
  return number;
}

inline std::string_view text(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes bytes(std::string_view text) noexcept { return std::as_bytes(std::span(text.data(), text.size())); }

}  // namespace depickle
