#include "depickle/base/crc32.h"

#include <string>

#include <gtest/gtest.h>

namespace depickle {
namespace {

// Computes the CRC-32 bit by bit, by its definition.
uint32_t bitwise_crc32(std::string_view text) {
  uint32_t crc = ~0u;
  for (char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

std::string noise(size_t length) {
  std::string out(length, 0);
  uint32_t state = 1;
  for (char& c : out) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  return out;
}

TEST(Crc32, EqualsTheBitwiseComputation) {
  EXPECT_EQ(crc32(0, bytes("123456789")), 0xcbf43926u);
  EXPECT_EQ(crc32(0, {}), 0u);
  for (size_t length : {1, 15, 16, 63, 64, 65, 127, 128, 200, 255, 256, 511, 512, 513, 640, 1000, 4096, 100'003})
    EXPECT_EQ(crc32(0, bytes(noise(length))), bitwise_crc32(noise(length))) << length;
}

TEST(Crc32, ContinuesAndCombines) {
  std::string text = noise(1000);
  for (size_t cut : {0, 1, 63, 64, 500, 999, 1000}) {
    Bytes head = bytes(text).first(cut), tail = bytes(text).subspan(cut);
    EXPECT_EQ(crc32(crc32(0, head), tail), bitwise_crc32(text)) << cut;
    EXPECT_EQ(crc32_combine(crc32(0, head), crc32(0, tail), tail.size()), bitwise_crc32(text)) << cut;
  }
}

}  // namespace
}  // namespace depickle
