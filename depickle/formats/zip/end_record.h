// The end record of a zip archive, which gives the place of the directory. Internal to the module.
#pragma once

#include <cstdint>

#include "depickle/base/source.h"

namespace depickle::zip {

/// Signature of a directory entry.
inline constexpr uint32_t kCentralSignature = 0x02014b50;

struct EndRecord {
  uint64_t records;
  uint64_t directory_offset;
  uint64_t directory_bytes;
  uint64_t trailing_bytes;  ///< after the end record and its comment
};

/// Returns the only end record of an archive that begins at byte 0. The directory must end at the start of the end
/// record (or of the zip64 end record), because readers treat a gap differently. Throws Error{truncated} (ZP01) if
/// there is no end record, Error{malformed} (ZP01) if it is invalid or if there is a second valid one.
EndRecord find_end_record(const ByteSource& source);

}  // namespace depickle::zip
