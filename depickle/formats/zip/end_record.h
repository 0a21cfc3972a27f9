// Where a zip archive's directory is. Private to the module.
#pragma once

#include <cstdint>

#include "depickle/base/source.h"

namespace depickle::zip {

/// How an entry of the directory begins.
inline constexpr uint32_t kCentralSignature = 0x02014b50;

struct EndRecord {
  uint64_t records;
  uint64_t directory_offset;
  uint64_t directory_bytes;
  uint64_t trailing_bytes;  ///< behind the end record and its comment
};

/// The one end record of the archive that begins at byte 0. The directory must end where the end record (or its zip64
/// form) begins, since readers differ on what a gap means. Throws Error{truncated} (ZP01) where there is none,
/// Error{malformed} (ZP01) where it does not fit or where a second one fits too.
EndRecord find_end_record(const ByteSource& source);

}  // namespace depickle::zip
