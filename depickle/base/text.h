// Text for users: printable forms of untrusted text, readable numbers, UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace depickle {

/// Returns `text` with control characters, DEL, invalid UTF-8, and invisible or bidirectional control characters
/// escaped byte by byte (\x1b, \xe2\x80\xae; a line feed as \n), so that untrusted text is safe to print on a terminal.
/// Text longer than `max_bytes` is cut and ends with "…".
std::string printable(std::string_view text, size_t max_bytes = 200);
/// The same in double quotes, with quotes and backslashes escaped.
std::string quoted(std::string_view text, size_t max_bytes = 200);
/// Overloads for std::string: argument-dependent lookup would find std::quoted.
inline std::string quoted(const std::string& text, size_t max_bytes = 200) {
  return quoted(std::string_view(text), max_bytes);
}
inline std::string quoted(std::string& text, size_t max_bytes = 200) {
  return quoted(std::string_view(text), max_bytes);
}

/// 548118077 → "548,118,077".
std::string grouped(uint64_t number);
/// 548118077 → "548.1 MB"; decimal units.
std::string human_bytes(uint64_t bytes);
/// 1, "tensor" → "1 tensor"; 2 → "2 tensors".
std::string plural(uint64_t count, std::string_view noun);

/// Returns `text` with ASCII letters in lower case.
std::string lower_case(std::string_view text);

/// Returns the length of the UTF-8 sequence at the start of `text`, which is not empty; 0 if it is invalid.
size_t utf8_sequence(std::string_view text) noexcept;
bool is_utf8(std::string_view text) noexcept;

}  // namespace depickle
