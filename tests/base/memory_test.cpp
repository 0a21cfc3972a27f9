#include "depickle/base/arena.h"

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "depickle/base/sha256.h"

namespace depickle {
namespace {

TEST(Arena, MemoryIsValidAfterAMove) {
  Arena arena;
  std::vector<std::string_view> kept;
  for (int i = 0; i < 20'000; ++i) kept.push_back(arena.copy(std::to_string(i)));
  Arena moved = std::move(arena);
  moved.make<char>(3 << 20);
  for (int i = 0; i < 20'000; ++i) ASSERT_EQ(kept[static_cast<size_t>(i)], std::to_string(i));
}

TEST(Arena, AlignsEachValue) {
  Arena arena;
  for (size_t i = 0; i < 100; ++i) {
    arena.make<char>(i % 7);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(arena.make<uint64_t>(1).data()) % alignof(uint64_t), 0u);
  }
}

TEST(Arena, AllocatesLargeAndEmptySpans) {
  Arena arena;
  std::span<uint64_t> large = arena.make<uint64_t>(1 << 20);
  large.front() = 1, large.back() = 2;
  EXPECT_EQ(arena.make<uint64_t>(0).size(), 0u);
  EXPECT_EQ(arena.copy(std::string_view()).size(), 0u);
  uint64_t numbers[] = {3, 4};
  EXPECT_EQ(arena.copy(std::span<const uint64_t>(numbers)).back(), 4u);
  EXPECT_EQ(large.front() + large.back(), 3u);
}

TEST(Arena, RefusesSizesThatOverflow) {
  for (bool is_used : {false, true}) {
    Arena arena;
    if (is_used) arena.make<char>(1);
    EXPECT_THROW(arena.make<uint64_t>(SIZE_MAX / 8 + 2), std::bad_alloc);
    EXPECT_THROW(arena.make<char>(SIZE_MAX), std::bad_alloc);
    EXPECT_THROW(arena.make<uint64_t>(SIZE_MAX / 8), std::bad_alloc);
    EXPECT_EQ(arena.copy(std::string_view("after")), "after");
  }
}

TEST(LargeAllocator, WorksInAVector) {
  std::vector<int, LargeAllocator<int>> numbers;
  for (int i = 0; i < 1'000'000; ++i) numbers.push_back(i);
  EXPECT_EQ(numbers[999'999], 999'999);
  EXPECT_THROW(allocate_large(SIZE_MAX), std::bad_alloc);
  EXPECT_THROW(LargeAllocator<uint64_t>().allocate(SIZE_MAX / 2), std::bad_alloc);
}

// FIPS 180-4, appendix B.
TEST(Sha256, EqualsTheExamplesOfTheStandard) {
  EXPECT_EQ(sha256_hex(bytes("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(bytes("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  pieces.update(bytes("a"));
  pieces.update(bytes("bc"));
  EXPECT_EQ(pieces.hex(), sha256_hex(bytes("abc")));
}

}  // namespace
}  // namespace depickle
