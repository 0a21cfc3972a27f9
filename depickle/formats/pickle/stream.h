// Reads the arguments, lines and frames of a pickle. Private to the module.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "depickle/base/bytes.h"
#include "depickle/base/error.h"

namespace depickle::pickle {

/// A position in the stream that passes neither the end of the stream nor the end of the current frame.
class Stream {
 public:
  /// If `divergence` is not nullptr, violations of rules that not every version of Python enforces are not thrown: the
  /// first is put there, and reading continues as in the versions that accept it.
  Stream(Bytes bytes, uint64_t first_byte, std::optional<Error>* divergence = nullptr)
      : bytes_(bytes),
        first_byte_(first_byte),
        divergence_(divergence),
        limit_(bytes.size()) {}

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
  /// Reads a line that spells a number. PK05 if it contains a NUL, which ends the number in CPython's C unpickler.
  std::string_view number_line(uint64_t max_bytes);
  /// Begins a frame of `length` bytes. PK03 inside another frame, PK02 if it is longer than the stream.
  void frame(uint64_t length);
  /// Throws the error, or records it as the divergence.
  void diverge(Error error) const;

 private:
  /// Throws for an argument of `length` bytes at `begin`, or leaves the frame that is too short for it.
  void extend(uint64_t begin, uint64_t length);
  void leave_frame() noexcept;

  Bytes bytes_;
  uint64_t first_byte_;
  std::optional<Error>* divergence_;
  uint64_t position_ = 0;
  uint64_t limit_;  ///< the end of the frame, or of the stream
  bool framed_ = false;
};

/// Decodes the argument of STRING: removes the quotes and decodes Python's escapes. Throws Error{malformed} (PK05).
std::string decode_quoted(std::string_view line);
/// Decodes the argument of UNICODE to UTF-8: \uXXXX, \UXXXXXXXX, and Latin-1 otherwise. Throws Error{malformed} (PK05).
std::string decode_raw_unicode_escape(std::string_view line);

}  // namespace depickle::pickle
