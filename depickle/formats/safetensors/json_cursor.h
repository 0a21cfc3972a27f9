// A strict single-pass JSON reader with the limits of the reference library's. Internal to the module.
//
// Why not simdjson: the reference accepts some values in ignored fields (numbers that underflow, 300-digit integers)
// and refuses others (1e999, 128 levels). This is part of the format in practice, and other JSON libraries have other
// limits.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace depickle::safetensors {

/// Returns the first quote, backslash or control character in [at, end), or `end`.
inline const char* plain_end(const char* at, const char* end) noexcept {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    __m128i special =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    if (auto hits = static_cast<uint32_t>(_mm_movemask_epi8(_mm_or_si128(control, special))))
      return at + std::countr_zero(hits);
  }
#endif
  constexpr uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    uint64_t quote = word ^ kOnes * '"', backslash = word ^ kOnes * '\\';
    uint64_t hits = ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash) | ((word - kOnes * 0x20) & ~word);
    if (hits & kHighs) return at + std::countr_zero(hits & kHighs) / 8;
  }
  while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
  return at;
}

/// Reads one JSON text, which must be UTF-8, token by token. Member functions throw Error{malformed} with one of the
/// given rules, the offset in the file, and the tensor if one is set.
class JsonCursor {
 public:
  /// Rule ids for errors: invalid syntax, too deep nesting, numbers that exceed the range of a double.
  struct Rules {
    std::string_view syntax, depth, range;
  };
  /// `value` is set only for integers from 0 to 2^64 - 1 that are written as digits. Other numbers are only checked.
  struct Number {
    bool is_unsigned;
    uint64_t value;
  };
  /// Maximum nesting: the reference fails at a depth of 128.
  static constexpr int kMaxOpen = 127;

  /// `text` begins at byte `text_offset` of the file.
  JsonCursor(std::string_view text, uint64_t text_offset, Rules rules) noexcept
      : at_(text.data()),
        begin_(text.data()),
        end_(text.data() + text.size()),
        text_offset_(text_offset),
        rules_(rules) {}

  const char* at() const noexcept { return at_; }
  const char* end() const noexcept { return end_; }
  /// Moves the cursor to `at`, which is in the text.
  void move_to(const char* at) noexcept { at_ = at; }
  /// Sets the tensor of further errors. The name is not copied.
  void set_tensor(std::string_view name) noexcept { tensor_ = name; }

  /// Returns the next byte that is not whitespace without consuming it; 0 at the end.
  char peek() noexcept;
  /// Consumes `c` if it is next, after whitespace.
  bool take(char c) noexcept;
  /// Consumes `c`; throws if another byte is next. `what` is the expected token in the error: "a comma or }".
  void expect(char c, std::string_view what);
  /// Consumes true, false or null.
  void expect_literal(std::string_view literal);

  /// Returns a string without quotes, escapes decoded: a view of the text, or of `scratch` if there are escapes.
  std::string_view string(std::string& scratch, std::string_view what);
  Number number();
  /// Checks and discards a value; `open` containers enclose it.
  void skip_value(int open);

  /// Calls member(key) for each member of an object; `open` counts the enclosing containers and the object itself. A
  /// key with escapes is in `scratch`, so reading the member's value may overwrite it.
  template <typename Member>
  void object(int open, std::string& scratch, Member&& member) {
    enter('{', open);
    if (take('}')) return;
    do {
      std::string_view key = string(scratch, "a key");
      expect(':', "a colon");
      member(key);
    } while (take(','));
    expect('}', "a comma or }");
  }

  /// Calls element() for each element of an array.
  template <typename Element>
  void array(int open, Element&& element) {
    enter('[', open);
    if (take(']')) return;
    do {
      element();
    } while (take(','));
    expect(']', "a comma or ]");
  }

  /// Throws Error{malformed} for the cursor's place, or for `at`.
  [[noreturn]] void fail(std::string_view rule, std::string what) const { fail(rule, std::move(what), at_); }
  [[noreturn]] void fail(std::string_view rule, std::string what, const char* at) const;

 private:
  [[noreturn]] void fail_expected(std::string_view what);
  void enter(char bracket, int open);
  void decode_escape(std::string& out);
  uint32_t hex4();
  uint64_t digits(uint64_t significand, int64_t& dropped_digits);
  int64_t exponent();

  const char* at_;
  const char* begin_;
  const char* end_;
  uint64_t text_offset_;
  Rules rules_;
  std::string_view tensor_;
};

}  // namespace depickle::safetensors
