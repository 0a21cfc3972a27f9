// A strict JSON reader that walks a text once, as the reference library's does. Internal to the module.
//
// Why not simdjson: what the reference accepts in a field that it ignores (numbers that underflow, 300-digit integers) and
// refuses there (1e999, 128 levels) is part of the format in practice, and no other JSON library draws the same lines.
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

/// The first byte in [at, end) that ends or interrupts a plain JSON string: a quote, a backslash or a control character.
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

/// Reads one JSON text that is UTF-8 already, token by token. Every member throws Error{malformed} with the rules given, the
/// place in the file, and the tensor where one has been set.
class JsonCursor {
 public:
  /// The rules that errors name: for broken syntax, for too deep nesting, for numbers beyond a double.
  struct Rules {
    std::string_view syntax, depth, range;
  };
  /// Only whole numbers from 0 to 2^64 - 1 written as plain digits have a `value`; others have been checked and are gone.
  struct Number {
    bool is_unsigned;
    uint64_t value;
  };
  /// Containers that may be open at once: the reference's limit of 128, at which it stops.
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
  /// Goes on at `at`, which lies in the text.
  void move_to(const char* at) noexcept { at_ = at; }
  /// What errors name from here on. The name is not copied.
  void set_tensor(std::string_view name) noexcept { tensor_ = name; }

  /// The next byte that is not a blank, without taking it; 0 at the end.
  char peek() noexcept;
  /// Takes `c` where it is next, after blanks.
  bool take(char c) noexcept;
  /// Takes `c`; throws where something else is next. `what` says what is wanted: "a comma or }".
  void expect(char c, std::string_view what);
  /// Takes true, false or null.
  void expect_literal(std::string_view literal);

  /// A string, without its quotes and escapes; a view of the text, or of `scratch` where it holds escapes.
  std::string_view string(std::string& scratch, std::string_view what);
  Number number();
  /// Any value, in full but for nothing; `open` containers are around it.
  void skip_value(int open);

  /// Calls member(key) for each member of an object; `open` counts the containers around it and the object itself. The key is
  /// gone once the member's value is read, unless it lies in the text.
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

  /// Throws: `what` is wrong here, or at `at`.
  [[noreturn]] void fail(std::string_view rule, std::string what) const { fail(rule, std::move(what), at_); }
  [[noreturn]] void fail(std::string_view rule, std::string what, const char* at) const;

 private:
  [[noreturn]] void fail_wanting(std::string_view what);
  void enter(char bracket, int open);
  void decode_escape(std::string& out);
  uint32_t hex4();
  uint64_t digits(uint64_t significand, int64_t& left_out);
  int64_t exponent();

  const char* at_;
  const char* begin_;
  const char* end_;
  uint64_t text_offset_;
  Rules rules_;
  std::string_view tensor_;
};

}  // namespace depickle::safetensors
