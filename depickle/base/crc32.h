// CRC-32 of zip and gzip (polynomial 0xedb88320, reflected).
//
// It is implemented here with carry-less multiplication because zlib's crc32(), the fallback, is much slower (about 1
// GB/s) and ISA-L, which has not been compared, would be a further dependency for this one function.
#pragma once

#include <cstdint>

#include "depickle/base/bytes.h"

namespace depickle {

/// Returns the CRC-32 of data with the CRC-32 `crc`, followed by `bytes`; the CRC-32 of no data is 0. About 40 GB/s if
/// the processor has VPCLMULQDQ, 15 GB/s if it has PCLMULQDQ, else 1 GB/s.
uint32_t crc32(uint32_t crc, Bytes bytes) noexcept;

/// Returns the CRC-32 of A followed by B, so that blocks can be computed in parallel. O(log length).
uint32_t crc32_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b_bytes) noexcept;

}  // namespace depickle
