#include "depickle/formats/detect/tar_header.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace depickle::detect {
namespace {

constexpr size_t kChecksumBegin = 148, kChecksumEnd = 156;

// The white space of Python's str.strip() in ASCII.
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= '\x1f'); }

std::string_view stripped(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// int(text, 8): white space, a sign, "0o", and single underscores between digits are allowed. `text` is short.
std::optional<int64_t> octal(std::string_view text) {
  text = stripped(text);
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  bool may_be_underscore = false;
  if (text.starts_with("0o") || text.starts_with("0O")) {
    text.remove_prefix(2);
    may_be_underscore = true;
  }
  if (text.empty() || text.back() == '_') return std::nullopt;
  int64_t value = 0;
  for (char c : text) {
    if (c == '_' && may_be_underscore) {
      may_be_underscore = false;
    } else if (c >= '0' && c <= '7') {
      value = value * 8 + (c - '0');
      may_be_underscore = true;
    } else {
      return std::nullopt;
    }
  }
  return is_negative ? -value : value;
}

// A number as tarfile's nti() reads it. The text of an empty field is 0.
std::optional<int64_t> number(std::string_view field) {
  const auto first = static_cast<unsigned char>(field[0]);
  if (first == 0x80 || first == 0xff) {
    int64_t value = first == 0xff ? -1 : 0;
    for (char c : field.substr(1)) value = value * 256 + static_cast<unsigned char>(c);
    return value;
  }
  field = field.substr(0, field.find('\0'));
  return stripped(field).empty() ? 0 : octal(field);
}

}  // namespace

bool is_tar_header(Bytes block) noexcept {
  if (block.size() < kTarBlockBytes) return false;
  const std::string_view text = depickle::text(block).substr(0, kTarBlockBytes);
  // The checksum itself counts as blanks.
  int64_t sum = int64_t{8} * ' ', signed_sum = sum;
  bool is_zero = true;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\0') is_zero = false;
    if (i >= kChecksumBegin && i < kChecksumEnd) continue;
    sum += static_cast<unsigned char>(text[i]);
    signed_sum += static_cast<signed char>(text[i]);
  }
  const auto stated = number(text.substr(kChecksumBegin, kChecksumEnd - kChecksumBegin));
  return !is_zero && stated && (*stated == sum || *stated == signed_sum);
}

}  // namespace depickle::detect
