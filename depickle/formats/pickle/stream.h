// The bytes of a pickle as the machine eats them: arguments, lines and frames. Private to the module.
#pragma once

#include <string>
#include <string_view>

#include "depickle/base/bytes.h"

namespace depickle::pickle {

/// A cursor that never passes the end of the stream, nor, inside a frame, the end of the frame.
class Stream {
 public:
  Stream(Bytes bytes, uint64_t first_byte) : bytes_(bytes), first_byte_(first_byte), fence_(bytes.size()) {}

  uint64_t position() const noexcept { return position_; }
  /// Where the cursor is, for the user.
  uint64_t offset() const noexcept { return first_byte_ + position_; }
  bool in_frame() const noexcept { return framed_ && position_ < fence_; }

  /// The next opcode; leaves a frame that ends here.
  uint8_t opcode();
  /// The next `length` bytes, not copied. PK02 where the stream, PK03 where the frame ends inside them.
  Bytes take(uint64_t length);
  template <typename Number>
  Number number() {
    return load<Number>(take(sizeof(Number)), 0);
  }
  /// Up to the next newline, which is consumed. PK10 where there is none within `max_bytes`.
  std::string_view line(uint64_t max_bytes);
  /// A new frame of `length` bytes. PK03 inside another frame, PK02 beyond the end.
  void frame(uint64_t length);

 private:
  /// An argument of `length` bytes at `begin` does not fit.
  [[noreturn]] void too_short(uint64_t begin, uint64_t length) const;

  Bytes bytes_;
  uint64_t first_byte_;
  uint64_t position_ = 0;
  uint64_t fence_;  ///< end of the frame, or of the stream
  bool framed_ = false;
};

/// What STRING's line means: quotes taken off, Python's backslash escapes decoded. Throws Error{malformed} (PK05).
std::string decode_quoted(std::string_view line);
/// What UNICODE's line means, as UTF-8: \uXXXX and \UXXXXXXXX decoded, other bytes taken as Latin-1.
std::string decode_raw_unicode_escape(std::string_view line);

}  // namespace depickle::pickle
