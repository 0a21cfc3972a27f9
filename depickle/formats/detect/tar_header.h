// The header blocks of tar archives.
#pragma once

#include "depickle/base/bytes.h"

namespace depickle::detect {

inline constexpr uint64_t kTarBlockBytes = 512;

/// Returns whether Python's tarfile accepts the checksum of a block, in any spelling: octal text as int(text, 8) reads
/// it, or base 256; the sum of signed or of unsigned bytes. torch.load tries every file as a tar archive first, so a
/// file that begins with such a block must not be read as anything else. False if `block` has fewer than 512 bytes.
bool is_tar_header(Bytes block) noexcept;

}  // namespace depickle::detect
