// Reads the arguments, lines and frames of a pickle. Private to the module.
#pragma once

#include <string>
#include <string_view>

#include "depickle/base/bytes.h"

namespace depickle::pickle {

/// A position in the stream that passes neither the end of the stream nor the end of the current frame.
class Stream {
 public:
  Stream(Bytes bytes, uint64_t first_byte) : bytes_(bytes), first_byte_(first_byte), limit_(bytes.size()) {}

  uint64_t position() const noexcept { return position_; }
  /// Returns the position as an offset in the file, for errors.
  uint64_t offset() const noexcept { return first_byte_ + position_; }
  bool in_frame() const noexcept { return framed_ && position_ < limit_; }

  /// Reads an opcode. Leaves a frame that ends at the position. PK02 if the stream ends.
  uint8_t opcode();
  /// Returns the next `length` bytes, not copied. PK02 if the stream ends before, PK03 if the frame does.
  Bytes take(uint64_t length);
  template <typename Number>
  Number number() {
    return load<Number>(take(sizeof(Number)), 0);
  }
  /// Reads up to the next newline, which is not returned. PK10 if the line is longer than `max_bytes`.
  std::string_view line(uint64_t max_bytes);
  /// Begins a frame of `length` bytes. PK03 inside another frame, PK02 if it is longer than the stream.
  void frame(uint64_t length);

 private:
  /// Throws for an argument of `length` bytes at `begin`.
  [[noreturn]] void too_short(uint64_t begin, uint64_t length) const;

  Bytes bytes_;
  uint64_t first_byte_;
  uint64_t position_ = 0;
  uint64_t limit_;  ///< the end of the frame, or of the stream
  bool framed_ = false;
};

/// Decodes the argument of STRING: removes the quotes and decodes Python's escapes. Throws Error{malformed} (PK05).
std::string decode_quoted(std::string_view line);
/// Decodes the argument of UNICODE to UTF-8: \uXXXX, \UXXXXXXXX, and Latin-1 otherwise. Throws Error{malformed} (PK05).
std::string decode_raw_unicode_escape(std::string_view line);

}  // namespace depickle::pickle
