#include "server/jobs/json_check.h"

#include <algorithm>

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
      return digits.size() == 4 && digits.find_first_not_of("0123456789abcdefABCDEF") == digits.npos;
    }
    for (char c : std::string_view("\"\\/bfnrt"))
      if (take(c)) return true;
    return false;
  }
  bool digits() {
    const size_t count = std::min(text_.find_first_not_of("0123456789"), text_.size());
    text_.remove_prefix(count);
    return count > 0;
  }
  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (!take('e') && !take('E')) return true;
    take('+') || take('-');
    return digits();
  }

  std::string_view text_;
};

}  // namespace

bool is_compact_json_object(std::string_view text) noexcept {
  Checker checker(text);
  return text.starts_with('{') && checker.value(0) && checker.is_at_end() && is_utf8(text);
}

}  // namespace depickle::server::jobs
