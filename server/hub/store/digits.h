// Hexadecimal digits and random names. Inside the store only.
#pragma once

#include <string>
#include <string_view>

namespace depickle::server {

bool is_hex(std::string_view text) noexcept;  ///< lower case only
/// 64 lower-case digits.
inline bool is_sha256(std::string_view text) noexcept { return text.size() == 64 && is_hex(text); }
/// From the kernel's random numbers.
std::string random_hex(size_t digits);
std::string random_letters(size_t count);

}  // namespace depickle::server
