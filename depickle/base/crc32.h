// CRC-32 as zip and gzip have it (polynomial 0xedb88320, reflected), at the speed of memory.
#pragma once

#include <cstdint>

#include "depickle/base/bytes.h"

namespace depickle {

/// The CRC-32 of what `crc` is the CRC-32 of, followed by `bytes`; begin with 0. About 40 GB/s where the processor
/// multiplies without carries 64 bytes at a time (VPCLMULQDQ), 15 where it does 16 (PCLMULQDQ), else 1.
uint32_t crc32(uint32_t crc, Bytes bytes) noexcept;

/// The CRC-32 of A followed by B, from those of A and of B and the length of B. O(log length): blocks can be summed side by side.
uint32_t crc32_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b_bytes) noexcept;

}  // namespace depickle
