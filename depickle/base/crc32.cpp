#include "depickle/base/crc32.h"

#include <zlib.h>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace depickle {
namespace {

uint32_t by_zlib(uint32_t crc, Bytes bytes) noexcept {
  while (!bytes.empty()) {
    size_t length = std::min<size_t>(bytes.size(), 1 << 30);
    crc = static_cast<uint32_t>(::crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(length)));
    bytes = bytes.subspan(length);
  }
  return crc;
}

#if defined(__x86_64__)

// Folding by carry-less multiplication: Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
// Instruction", Intel 2009; the constants are x^n mod P for the reflected polynomial.
__attribute__((target("pclmul,sse4.1"))) __m128i fold(__m128i value, __m128i next, __m128i constants) noexcept {
  return _mm_xor_si128(
      _mm_xor_si128(_mm_clmulepi64_si128(value, constants, 0x00), _mm_clmulepi64_si128(value, constants, 0x11)), next);
}

// All whole blocks of 64 bytes of `bytes`, of which there is at least one; `crc` is inverted, as the register is.
__attribute__((target("pclmul,sse4.1"))) uint32_t by_folding(
    uint32_t crc, const std::byte* data, size_t blocks) noexcept {
  const __m128i k64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4), k16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0),
                k8 = _mm_set_epi64x(0, 0x0163cd6124), modulus = _mm_set_epi64x(0x01f7011641, 0x01db710641),
                low32 = _mm_setr_epi32(~0, 0, ~0, 0);
  auto at = [&](size_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data) + i); };
  __m128i a = _mm_xor_si128(at(0), _mm_cvtsi32_si128(static_cast<int>(crc))), b = at(1), c = at(2), d = at(3);
  for (data += 64; --blocks > 0; data += 64)
    a = fold(a, at(0), k64), b = fold(b, at(1), k64), c = fold(c, at(2), k64), d = fold(d, at(3), k64);
  a = fold(fold(fold(a, b, k16), c, k16), d, k16);
  // 128 bits to 64, to 32, and Barrett's reduction.
  a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, k16, 0x10));
  a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, low32), k8, 0x00));
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(a, low32), modulus, 0x10);
  a = _mm_xor_si128(a, _mm_clmulepi64_si128(_mm_and_si128(quotient, low32), modulus, 0x00));
  return static_cast<uint32_t>(_mm_extract_epi32(a, 1));
}

const bool kFolds = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");

#endif

}  // namespace

uint32_t crc32(uint32_t crc, Bytes bytes) noexcept {
#if defined(__x86_64__)
  if (size_t blocks = bytes.size() / 64; kFolds && blocks > 1) {
    crc = ~by_folding(~crc, bytes.data(), blocks);
    bytes = bytes.subspan(blocks * 64);
  }
#endif
  return by_zlib(crc, bytes);
}

uint32_t crc32_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b_bytes) noexcept {
  return static_cast<uint32_t>(::crc32_combine(crc_a, crc_b, static_cast<z_off_t>(length_b_bytes)));
}

}  // namespace depickle
