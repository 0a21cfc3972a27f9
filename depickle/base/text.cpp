#include "depickle/base/text.h"

#include <array>
#include <cstring>

#include <fmt/format.h>

namespace depickle {
namespace {

// Whether a character reorders or hides text on a terminal: U+200B..200F, U+2028..202E, U+2060..2069, U+FEFF, and
// U+061C.
bool reorders_or_hides(std::string_view sequence) {
  if (sequence == "\u061c") return true;
  if (sequence.size() != 3) return false;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(sequence[i]); };
  unsigned code = (byte(0) & 0x0fu) << 12 | (byte(1) & 0x3fu) << 6 | (byte(2) & 0x3fu);
  return (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x2069) || code == 0xfeff;
}

void append_printable(std::string& out, std::string_view text, bool escape_quotes) {
  while (!text.empty()) {
    auto byte = static_cast<unsigned char>(text[0]);
    size_t length = utf8_sequence(text);
    bool control =
        byte < 0x20 || byte == 0x7f || (length == 2 && byte == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0);
    if (byte == '\n') {
      out += "\\n";
    } else if (escape_quotes && (byte == '"' || byte == '\\')) {
      out += '\\';
      out += text[0];
    } else if (length == 0 || control || reorders_or_hides(text.substr(0, length))) {
      for (char c : text.substr(0, std::max<size_t>(length, 1)))
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
}

// Cuts `text` at a character boundary.
std::string_view cut(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  while (max_bytes > 0 && (static_cast<unsigned char>(text[max_bytes]) & 0xc0) == 0x80) --max_bytes;
  return text.substr(0, max_bytes);
}

}  // namespace

std::string printable(std::string_view text, size_t max_bytes) {
  std::string out;
  std::string_view shown = cut(text, max_bytes);
  append_printable(out, shown, false);
  return shown.size() < text.size() ? out + "…" : out;
}

std::string quoted(std::string_view text, size_t max_bytes) {
  std::string out = "\"";
  std::string_view shown = cut(text, max_bytes);
  append_printable(out, shown, true);
  return out + (shown.size() < text.size() ? "…\"" : "\"");
}

std::string grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  constexpr std::array kUnits{"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) value /= 1000, ++unit;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string plural(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(count), noun, count == 1 ? "" : "s");
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

size_t utf8_sequence(std::string_view text) noexcept {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto continues = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    bool overlong = lead == 0xe0 && byte(1) < 0xa0, surrogate = lead == 0xed && byte(1) >= 0xa0;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    bool overlong = lead == 0xf0 && byte(1) < 0x90, too_large = lead == 0xf4 && byte(1) >= 0x90;
    return continues(1) && continues(2) && continues(3) && !overlong && !too_large ? 4 : 0;
  }
  return 0;
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    if (uint64_t eight = 0;
        text.size() >= 8 && (std::memcpy(&eight, text.data(), 8), (eight & 0x8080808080808080) == 0)) {
      text.remove_prefix(8);  // most names are ASCII
      continue;
    }
    size_t length = utf8_sequence(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace depickle
