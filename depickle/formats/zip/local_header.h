// The local header of a zip record, compared with the directory. Internal to the module.
#pragma once

#include "depickle/formats/zip/archive.h"

namespace depickle::zip {

/// The zip64 block of an extra field: the 64-bit values of the overflowed fields, in the order size, stored size,
/// header offset.
class Zip64Block {
 public:
  /// `offset` is the offset in errors.
  Zip64Block(Bytes extra, uint64_t offset);
  bool exists() const noexcept { return !block_.empty(); }
  /// Replaces `value`, a 32-bit field, by the next 64-bit value if it is FFFFFFFF. Throws Error{malformed} (ZP04) if
  /// there is none.
  void widen(uint64_t& value);

 private:
  Bytes block_;
  uint64_t offset_;
};

/// Size of a local header without name and extra field.
constexpr uint64_t kLocalBytes = 30;

struct Local {
  uint64_t data_offset;
  uint8_t descriptor_bytes;  ///< of the data descriptor after the payload, without its signature; 0 if there is none
};

/// Reads a local header and checks that its fields equal the directory's or are empty (ZP05, ZP06). Reads 192 bytes, or
/// more if the name is long.
Local check_local(const ByteSource& archive, const Record& record);

/// Returns the content of a stored record of a remote archive. The first read also reads and checks the local header.
std::shared_ptr<const ByteSource> located(std::shared_ptr<const ByteSource> archive, const Record& record);

}  // namespace depickle::zip
