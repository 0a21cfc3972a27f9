#include "depickle/base/crc32.h"

#include <zlib.h>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace depickle {
namespace {

uint32_t crc32_zlib(uint32_t crc, Bytes bytes) noexcept {
  while (!bytes.empty()) {
    size_t length = std::min<size_t>(bytes.size(), 1 << 30);
    crc = static_cast<uint32_t>(::crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(length)));
    bytes = bytes.subspan(length);
  }
  return crc;
}

#if defined(__x86_64__)

// Folding by carry-less multiplication: Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
// Instruction", Intel 2009. The constants are x^n mod P for the reflected polynomial; each pair shifts a value over
// 256, 64 or 16 bytes.
#define DEPICKLE_SSE __attribute__((target("pclmul,sse4.1")))
#define DEPICKLE_AVX512 __attribute__((target("pclmul,sse4.1,avx512f,vpclmulqdq")))

struct Constants {
  long long low, high;
};
constexpr Constants kOver256 = {0x011542778a, 0x01322d1430}, kOver64 = {0x0154442bd4, 0x01c6e41596},
                    kOver16 = {0x01751997d0, 0x00ccaa009e};

DEPICKLE_SSE __m128i fold(__m128i value, __m128i next, Constants over) noexcept {
  const __m128i k = _mm_set_epi64x(over.high, over.low);
  return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(value, k, 0x00), _mm_clmulepi64_si128(value, k, 0x11)), next);
}

// Reduces the folded 64 bytes to the inverted CRC register.
DEPICKLE_SSE uint32_t reduce(__m128i a, __m128i b, __m128i c, __m128i d) noexcept {
  const __m128i k16 = _mm_set_epi64x(kOver16.high, kOver16.low), k8 = _mm_set_epi64x(0, 0x0163cd6124),
                modulus = _mm_set_epi64x(0x01f7011641, 0x01db710641), low32 = _mm_setr_epi32(~0, 0, ~0, 0);
  a = fold(fold(fold(a, b, kOver16), c, kOver16), d, kOver16);
  // 128 bits to 64, to 32, then Barrett reduction.
  a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, k16, 0x10));
  a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, low32), k8, 0x00));
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(a, low32), modulus, 0x10);
  a = _mm_xor_si128(a, _mm_clmulepi64_si128(_mm_and_si128(quotient, low32), modulus, 0x00));
  return static_cast<uint32_t>(_mm_extract_epi32(a, 1));
}

// Processes `blocks` >= 1 blocks of 64 bytes. `crc` and the result are inverted.
DEPICKLE_SSE uint32_t crc32_folding_64(uint32_t crc, const std::byte* data, size_t blocks) noexcept {
  auto at = [&](size_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data) + i); };
  __m128i a = _mm_xor_si128(at(0), _mm_cvtsi32_si128(static_cast<int>(crc))), b = at(1), c = at(2), d = at(3);
  for (data += 64; --blocks > 0; data += 64)
    a = fold(a, at(0), kOver64), b = fold(b, at(1), kOver64), c = fold(c, at(2), kOver64), d = fold(d, at(3), kOver64);
  return reduce(a, b, c, d);
}

DEPICKLE_AVX512 __m512i fold(__m512i value, __m512i next, Constants over) noexcept {
  const __m512i k = _mm512_set4_epi64(over.high, over.low, over.high, over.low);
  return _mm512_ternarylogic_epi64(
      _mm512_clmulepi64_epi128(value, k, 0x00), _mm512_clmulepi64_epi128(value, k, 0x11), next, 0x96);  // a ^ b ^ c
}

// The same for blocks of 256 bytes.
DEPICKLE_AVX512 uint32_t crc32_folding_256(uint32_t crc, const std::byte* data, size_t blocks) noexcept {
  auto at = [&](size_t i) DEPICKLE_AVX512 { return _mm512_loadu_si512(data + 64 * i); };
  __m512i a = _mm512_xor_si512(at(0), _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(crc)))), b = at(1),
          c = at(2), d = at(3);
  for (data += 256; --blocks > 0; data += 256)
    a = fold(a, at(0), kOver256), b = fold(b, at(1), kOver256), c = fold(c, at(2), kOver256),
    d = fold(d, at(3), kOver256);
  a = fold(fold(fold(a, b, kOver64), c, kOver64), d, kOver64);
  alignas(64) __m128i parts[4];
  _mm512_store_si512(parts, a);
  return reduce(parts[0], parts[1], parts[2], parts[3]);
}

const bool kCanFold64 = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
const bool kCanFold256 = kCanFold64 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");

#endif

}  // namespace

uint32_t crc32(uint32_t crc, Bytes bytes) noexcept {
#if defined(__x86_64__)
  if (size_t blocks = bytes.size() / 256; kCanFold256 && blocks > 1) {
    crc = ~crc32_folding_256(~crc, bytes.data(), blocks);
    bytes = bytes.subspan(blocks * 256);
  }
  if (size_t blocks = bytes.size() / 64; kCanFold64 && blocks > 1) {
    crc = ~crc32_folding_64(~crc, bytes.data(), blocks);
    bytes = bytes.subspan(blocks * 64);
  }
#endif
  return crc32_zlib(crc, bytes);
}

uint32_t crc32_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b_bytes) noexcept {
  return static_cast<uint32_t>(::crc32_combine(crc_a, crc_b, static_cast<z_off_t>(length_b_bytes)));
}

}  // namespace depickle
