#include "depickle/formats/safetensors/json_cursor.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"

namespace depickle::safetensors {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

double power_of_ten(int64_t exponent) {
  std::string text = fmt::format("1e{}", exponent);
  double power = 0;
  std::from_chars(text.data(), text.data() + text.size(), power);
  return power;
}

// Whether significand * 10^exponent exceeds the largest double as the reference computes it: the digits and the product
// are each rounded once. The largest double itself, written with 17 digits, is therefore refused.
bool exceeds_double(uint64_t significand, int64_t exponent) {
  if (significand == 0 || exponent < 0) return false;
  return exponent > 308 || std::isinf(static_cast<double>(significand) * power_of_ten(exponent));
}

void append_utf8(std::string& out, uint32_t code) {
  auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) return put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
  if (code < 0x10000) return put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
  put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
}

}  // namespace

void JsonCursor::fail(std::string_view rule, std::string what, const char* at) const {
  throw Error(Code::malformed, rule, std::move(what),
      {.file = {}, .tensor = std::string(tensor_), .offset_bytes = text_offset_ + static_cast<uint64_t>(at - begin_)});
}

void JsonCursor::fail_expected(std::string_view what) {
  if (peek(); at_ == end_) fail(rules_.syntax, fmt::format("the text ends (expected {})", what));
  fail(rules_.syntax, fmt::format("unexpected {} (expected {})", depickle::quoted(std::string_view(at_, 1)), what));
}

char JsonCursor::peek() noexcept {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  return at_ == end_ ? '\0' : *at_;
}

bool JsonCursor::take(char c) noexcept {
  if (peek() != c || at_ == end_) return false;
  ++at_;
  return true;
}

void JsonCursor::expect(char c, std::string_view what) {
  if (!take(c)) fail_expected(what);
}

void JsonCursor::expect_literal(std::string_view literal) {
  peek();
  if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(literal)) fail_expected("a value");
  at_ += literal.size();
}

void JsonCursor::enter(char bracket, int open) {
  expect(bracket, bracket == '{' ? "an object" : "an array");
  if (open > kMaxOpen) fail(rules_.depth, fmt::format("objects and arrays are nested more than {} deep", kMaxOpen));
}

std::string_view JsonCursor::string(std::string& scratch, std::string_view what) {
  expect('"', what);
  const char* begin = at_;
  at_ = plain_end(at_, end_);
  if (at_ != end_ && *at_ == '"') return {begin, static_cast<size_t>(at_++ - begin)};

  scratch.assign(begin, at_);
  while (at_ != end_ && *at_ != '"') {
    if (*at_ != '\\') fail(rules_.syntax, "a string contains an unescaped control character");
    decode_escape(scratch);
    begin = at_;
    at_ = plain_end(at_, end_);
    scratch.append(begin, at_);
  }
  expect('"', "the end of a string");
  return scratch;
}

void JsonCursor::decode_escape(std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  ++at_;  // the backslash
  if (at_ == end_) fail_expected("an escape");
  char c = *at_++;
  if (size_t i = kNames.find(c); i != kNames.npos) {
    out += kMeanings[i];
    return;
  }
  if (c != 'u') fail(rules_.syntax, "a string contains an unknown escape");
  uint32_t code = hex4();
  if (code >= 0xd800 && code <= 0xdbff && end_ - at_ >= 2 && at_[0] == '\\' && at_[1] == 'u') {
    at_ += 2;
    uint32_t low = hex4();
    if (low < 0xdc00 || low > 0xdfff) fail(rules_.syntax, "a string contains an unpaired surrogate");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  } else if (code >= 0xd800 && code <= 0xdfff) {
    fail(rules_.syntax, "a string contains an unpaired surrogate");
  }
  append_utf8(out, code);
}

uint32_t JsonCursor::hex4() {
  uint32_t code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    char c = at_ == end_ ? '\0' : *at_;
    uint32_t digit = is_digit(c)            ? c - '0'
                     : c >= 'a' && c <= 'f' ? c - 'a' + 10
                     : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                            : 16;
    if (digit == 16) fail(rules_.syntax, "\\u is not followed by four hexadecimal digits");
    code = code << 4 | digit;
  }
  return code;
}

// Appends the digits at the cursor to `significand` while it fits 64 bits; the others are counted in `dropped_digits`.
uint64_t JsonCursor::digits(uint64_t significand, int64_t& dropped_digits) {
  if (at_ == end_ || !is_digit(*at_)) fail(rules_.syntax, "a number has no digits");
  for (; at_ != end_ && is_digit(*at_); ++at_) {
    uint64_t longer;
    if (dropped_digits > 0 || __builtin_mul_overflow(significand, uint64_t{10}, &longer) ||
        __builtin_add_overflow(longer, static_cast<uint64_t>(*at_ - '0'), &longer)) {
      ++dropped_digits;
    } else {
      significand = longer;
    }
  }
  return significand;
}

// Returns the signed exponent at the cursor, clamped to 2^31.
int64_t JsonCursor::exponent() {
  bool negative = at_ != end_ && *at_ == '-';
  if (negative || (at_ != end_ && *at_ == '+')) ++at_;
  int64_t dropped_digits = 0;
  uint64_t value = digits(0, dropped_digits);
  constexpr uint64_t kMax = uint64_t{1} << 31;
  auto exponent = static_cast<int64_t>(dropped_digits > 0 || value > kMax ? kMax : value);
  return negative ? -exponent : exponent;
}

JsonCursor::Number JsonCursor::number() {
  peek();
  bool is_unsigned = at_ == end_ || *at_ != '-';
  if (!is_unsigned) ++at_;
  bool zero_first = at_ != end_ && *at_ == '0';
  const char* first = at_;
  int64_t scale = 0;
  uint64_t significand = digits(0, scale);
  if (zero_first && at_ - first > 1) fail(rules_.syntax, "a number begins with 0");
  is_unsigned = is_unsigned && scale == 0;

  if (at_ != end_ && *at_ == '.') {
    is_unsigned = false;
    first = ++at_;
    int64_t dropped_digits = 0;
    significand = digits(significand, dropped_digits);
    scale -= at_ - first - dropped_digits;
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    is_unsigned = false;
    ++at_;
    scale += exponent();
  }
  if (!is_unsigned && exceeds_double(significand, scale))
    fail(rules_.range, "a number exceeds the range of a double (1.8e308)");
  return {is_unsigned, significand};
}

void JsonCursor::skip_value(int open) {
  std::string scratch;
  switch (peek()) {
    case '{': return object(open + 1, scratch, [&](std::string_view) { skip_value(open + 1); });
    case '[': return array(open + 1, [&] { skip_value(open + 1); });
    case '"': return void(string(scratch, "a string"));
    case 't': return expect_literal("true");
    case 'f': return expect_literal("false");
    case 'n': return expect_literal("null");
    default:
      if (char c = peek(); c != '-' && !is_digit(c)) fail_expected("a value");
      number();
  }
}

}  // namespace depickle::safetensors
