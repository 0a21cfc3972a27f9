// Numbers that are written as text or as two's complement.
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/formats/pickle/machine.h"

namespace depickle::pickle {
namespace {

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  size_t begin = line.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(kBlanks) - begin + 1);
}

// Removes a prefix and returns its base, as C's strtol and Python's int(text, 0).
int take_base(std::string_view& digits) {
  if (digits.size() < 2 || digits[0] != '0') return 10;
  int base = 8;
  switch (digits[1]) {
    case 'x':
    case 'X': base = 16; break;
    case 'o':
    case 'O': break;
    case 'b':
    case 'B': base = 2; break;
    default: return 8;
  }
  digits.remove_prefix(2);
  return base;
}

// Removes underscores if each is between two digits, as Python does. `kept` stores the result if there are any.
std::string_view without_underscores(std::string_view digits, std::string& kept) {
  if (digits.find('_') == digits.npos || digits.ends_with('_')) return digits;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (digits[i] != '_') {
      kept += digits[i];
    } else if (i == 0 || digits[i + 1] == '_') {
      return digits;
    }
  }
  return kept;
}

}  // namespace

Handle Machine::integer_of_line(std::string_view line) {
  std::string_view whole = trimmed(line), digits = whole;
  bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  int base = take_base(digits);
  std::string kept;
  digits = without_underscores(digits, kept);
  uint64_t magnitude = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  bool all_digits = !digits.empty() && end == digits.data() + digits.size();
  if (!all_digits || error == std::errc::invalid_argument)
    fail("PK05", fmt::format("{} is not an int", quoted(whole, 40)));
  uint64_t max = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  if (error == std::errc::result_out_of_range || magnitude > max) return make_big_integer(bytes(whole));
  return make_integer(negative ? static_cast<int64_t>(0 - magnitude) : static_cast<int64_t>(magnitude));
}

// INT: "00" and "01" are booleans.
Handle Machine::integer_or_boolean_of_line(std::string_view line) {
  if (line == "00") return kFalse;
  if (line == "01") return kTrue;
  return integer_of_line(line);
}

Handle Machine::long_of_line(std::string_view line) {
  if (line.ends_with('L')) line.remove_suffix(1);
  return integer_of_line(line);
}

Handle Machine::integer_of_bytes(Bytes little_endian) {
  if (little_endian.size() > 8) return make_big_integer(little_endian);
  bool negative = !little_endian.empty() && std::to_integer<uint8_t>(little_endian.back()) >= 0x80;
  uint64_t value = negative ? ~uint64_t{0} : 0;
  std::memcpy(&value, little_endian.data(), little_endian.size());
  return make_integer(static_cast<int64_t>(value));
}

Handle Machine::real_of_line(std::string_view line) {
  std::string_view digits = trimmed(line);
  if (digits.starts_with('+')) digits.remove_prefix(1);
  double value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::invalid_argument || end != digits.data() + digits.size())
    fail("PK05", fmt::format("{} is not a float", quoted(digits, 40)));
  // from_chars reports both overflow and underflow and sets no value. Python reads infinity and 0.
  if (error == std::errc::result_out_of_range) value = std::strtod(std::string(digits).c_str(), nullptr);
  return make_real(value);
}

uint64_t Machine::read_index_line() {
  std::string_view line = trimmed(stream_.number_line(limits_.line_bytes)), digits = line;
  const bool is_negative = digits.starts_with('-');
  if (is_negative || digits.starts_with('+')) digits.remove_prefix(1);
  std::string kept;
  digits = without_underscores(digits, kept);
  uint64_t index = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size() || (is_negative && index != 0))
    fail("PK08", fmt::format("{} is not a memo index", quoted(line, 40)));
  return index;
}

}  // namespace depickle::pickle
