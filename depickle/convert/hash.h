// Many SHA-256 digests at once.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/convert/blocks.h"

namespace depickle::convert {

/// 64 lower-case hexadecimal digits, without a heap allocation each.
struct Digest {
  std::array<char, 64> digits;
  std::string_view text() const noexcept { return {digits.data(), digits.size()}; }
};

/// The digest of each, on `threads` threads, the largest first so that all end together. One digest
/// cannot be shared out: the time is at least that of the largest. `meter` counts the bytes, and can stop the work.
std::vector<Digest> sha256_each(const std::vector<Bytes>& pieces, unsigned threads, Meter& meter);

}  // namespace depickle::convert
