#include "server/jobs/json_check.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "depickle/base/text.h"

namespace depickle::server::jobs {
namespace {

constexpr int kMaxDepth = 32;

// Each function returns whether the text continues with the token, and consumes it.
class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  bool value(int depth) {
    if (depth > kMaxDepth) return false;
    if (take('{')) return list('}', [&] { return string() && take(':') && value(depth + 1); });
    if (take('[')) return list(']', [&] { return value(depth + 1); });
    if (at('"')) return string();
    return word("true") || word("false") || word("null") || number();
  }
  bool is_at_end() const { return text_.empty(); }

 private:
  bool at(char c) const { return !text_.empty() && text_.front() == c; }
  bool take(char c) {
    if (!at(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool word(std::string_view wanted) {
    if (!text_.starts_with(wanted)) return false;
    text_.remove_prefix(wanted.size());
    return true;
  }
  template <typename Item>
  bool list(char close, const Item& item) {
    if (take(close)) return true;
    do
      if (!item()) return false;
    while (take(','));
    return take(close);
  }
  bool string() {
    if (!take('"')) return false;
    while (!text_.empty()) {
      const char c = text_.front();
      if (static_cast<unsigned char>(c) < 0x20) return false;
      text_.remove_prefix(1);
      if (c == '"') return true;
      if (c == '\\' && !escape()) return false;
    }
    return false;
  }
  bool escape() {
    if (take('u')) {
      const std::string_view digits = text_.substr(0, 4);
      text_.remove_prefix(digits.size());
      return digits.size() == 4 && digits.find_first_not_of("0123456789abcdefABCDEF") == digits.npos &&
             !is_surrogate(digits);
    }
    for (char c : std::string_view("\"\\/bfnrt"))
      if (take(c)) return true;
    return false;
  }
  // JsonWriter writes no surrogates, and readers refuse one without the other.
  static bool is_surrogate(std::string_view digits) {
    return (digits[0] == 'd' || digits[0] == 'D') && (digits[1] > '7');
  }
  bool digits() {
    const size_t count = std::min(text_.find_first_not_of("0123456789"), text_.size());
    text_.remove_prefix(count);
    return count > 0;
  }
  // Readers refuse, or read as infinity, numbers that do not fit.
  bool number() {
    const std::string_view begin = text_;
    const bool is_negative = take('-');
    if (!take('0') && !digits()) return false;
    const bool has_fraction = take('.');
    if (has_fraction && !digits()) return false;
    const bool has_exponent = take('e') || take('E');
    if (has_exponent) {
      take('+') || take('-');
      if (!digits()) return false;
    }
    const std::string_view text = begin.substr(0, begin.size() - text_.size());
    if (has_fraction || has_exponent) return fits<double>(text);
    return is_negative ? fits<int64_t>(text) : fits<uint64_t>(text);
  }
  template <typename Number>
  static bool fits(std::string_view text) {
    Number number{};
    return std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc();
  }

  std::string_view text_;
};

}  // namespace

bool is_compact_json_object(std::string_view text) noexcept {
  Checker checker(text);
  return text.starts_with('{') && checker.value(0) && checker.is_at_end() && is_utf8(text);
}

}  // namespace depickle::server::jobs
