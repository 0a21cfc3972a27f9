// Words for people: hostile text made printable, numbers made readable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace depickle {

/// `text` with control characters, DEL, invalid UTF-8 and bidirectional overrides written byte by byte (\x1b, \xe2\x80\xae; a
/// line feed as \n): safe to print on a terminal whatever a file put into it. Longer than `max_bytes` is cut and closed with "…".
std::string printable(std::string_view text, size_t max_bytes = 200);
/// The same between double quotes, with quotes and backslashes escaped.
std::string quoted(std::string_view text, size_t max_bytes = 200);
/// For std::string, whose argument-dependent lookup would find std::quoted.
inline std::string quoted(const std::string& text, size_t max_bytes = 200) {
  return quoted(std::string_view(text), max_bytes);
}
inline std::string quoted(std::string& text, size_t max_bytes = 200) {
  return quoted(std::string_view(text), max_bytes);
}

/// 548118077 → "548,118,077".
std::string grouped(uint64_t number);
/// 548118077 → "548.1 MB"; decimal units, as disks and networks count.
std::string human_bytes(uint64_t bytes);
/// 1, "tensor" → "1 tensor"; 2 → "2 tensors".
std::string plural(uint64_t count, std::string_view noun);

/// Length of the valid UTF-8 sequence at the start of `text`; 0 where the bytes are not UTF-8. `text` is not empty.
size_t utf8_sequence(std::string_view text) noexcept;
bool is_utf8(std::string_view text) noexcept;

}  // namespace depickle
