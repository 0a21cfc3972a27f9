// The local header of a zip record, checked against the directory.
#pragma once

#include "depickle/formats/zip/archive.h"

namespace depickle::zip {

/// The zip64 block of an extra field: the 64-bit values of the fields that overflowed, in the order size, stored, header offset.
class Zip64Block {
 public:
  /// `offset` is what errors point at.
  Zip64Block(Bytes extra, uint64_t offset);
  bool is_there() const noexcept { return !block_.empty(); }
  /// `value` is a 32-bit field; where it says so, the next 64-bit one takes its place. Throws Error{malformed} (ZP04).
  void widen(uint64_t& value);

 private:
  Bytes block_;
  uint64_t offset_;
};

/// Bytes of a local header before the name.
constexpr uint64_t kLocalBytes = 30;

struct Local {
  uint64_t data_offset;
  uint8_t described_bytes;  ///< of the data descriptor behind the payload, less its signature; 0 where there is none
};

/// ZP05, ZP06: what the local header says must be what the directory says, or nothing. Reads 192 bytes.
Local check_local(const ByteSource& archive, const Record& record);

/// The content of a stored record of a distant archive, whose local header is read and checked when the first byte is asked for.
std::shared_ptr<const ByteSource> located(std::shared_ptr<const ByteSource> archive, const Record& record);

}  // namespace depickle::zip
