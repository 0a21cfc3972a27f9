// Computes many SHA-256 digests in parallel.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/convert/blocks.h"

namespace depickle::convert {

/// 64 lower-case hexadecimal digits, without a heap allocation.
struct Digest {
  std::array<char, 64> digits;
  std::string_view text() const noexcept { return {digits.data(), digits.size()}; }
};

/// Returns the digest of each piece, computed on `threads` threads, largest piece first. One digest cannot be
/// parallelized, so the time is at least that of the largest piece. `meter` counts the bytes and can cancel the work.
std::vector<Digest> sha256_each(const std::vector<Bytes>& pieces, unsigned threads, ProgressMeter& meter);

}  // namespace depickle::convert
