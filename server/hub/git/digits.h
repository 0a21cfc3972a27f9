// Hexadecimal digits. Inside the store only.
#pragma once

#include <string_view>

namespace depickle::server {

/// Returns whether `text` contains lower-case hexadecimal digits only.
bool is_hex(std::string_view text) noexcept;
/// Returns whether `text` is 64 lower-case hexadecimal digits.
inline bool is_sha256(std::string_view text) noexcept { return text.size() == 64 && is_hex(text); }

}  // namespace depickle::server
