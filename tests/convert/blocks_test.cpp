#include "depickle/convert/blocks.h"

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace depickle::convert {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(Blocks, Pieces_end_at_multiples_of_the_file_offset_and_cover_every_byte) {
  for (uint64_t file_offset :
      {uint64_t{0}, uint64_t{8}, uint64_t{333'336}, uint64_t{333'337}, kMiB - 8, 5 * kMiB + 1}) {
    for (uint64_t size : {kMiB + 1, 2 * kMiB, 10 * kMiB + 12'345}) {
      uint64_t covered = 0;
      for (const Block& block : cut_blocks(1, [&](uint32_t) { return Cut{size, kMiB, file_offset}; })) {
        EXPECT_EQ(block.begin, covered);
        EXPECT_EQ(block.begin % 8, 0u);
        EXPECT_LE(block.end - block.begin, kMiB);
        EXPECT_TRUE(block.end == size || (file_offset + block.end) % kMiB < 8) << file_offset << " " << size;
        covered = block.end;
      }
      EXPECT_EQ(covered, size);
    }
  }
}

TEST(Blocks, Small_adjacent_tensors_share_a_block) {
  const std::vector<uint64_t> sizes = {10, 0, kMiB - 10, 1, 3 * kMiB, 5};
  std::vector<Block> blocks = cut_blocks(6, [&](uint32_t i) { return Cut{sizes[i], 2 * kMiB}; });
  ASSERT_EQ(blocks.size(), 5u);
  EXPECT_EQ(blocks[0].count, 3u);
  EXPECT_EQ(blocks[0].end, kMiB);
  EXPECT_EQ(blocks[1].first, 3u);
  EXPECT_EQ(blocks[2].end, 2 * kMiB);
  EXPECT_EQ(blocks[3].end, 3 * kMiB);
  EXPECT_EQ(blocks[4].first, 5u);
}

TEST(Blocks, A_piece_of_0_bytes_is_an_error) {
  EXPECT_EQ(error_of([] { cut_blocks(1, [](uint32_t) { return Cut{2 * kMiB, 0}; }); }).code(), Code::limit);
}

TEST(Blocks, A_lease_larger_than_its_buffer_is_an_error) {
  Buffers buffers(1);
  Buffers::Lease lease(buffers);
  EXPECT_EQ(lease.bytes(buffers.each_bytes()).size(), buffers.each_bytes());
  Error error = error_of([&] { lease.bytes(buffers.each_bytes() + 1); });
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_EQ(error.message(), "a buffer has 8,388,608 bytes (need 8,388,609)");
}

TEST(Blocks, A_buffer_fits_a_block_with_any_number_of_threads) {
  for (unsigned threads : {0u, 1u, 2u, 8u, 64u, 1000u}) {
    Buffers buffers(threads);
    EXPECT_GE(buffers.each_bytes(), kBatchBytes) << threads;
    EXPECT_LE(buffers.each_bytes(), 8 * kMiB) << threads;
  }
}

}  // namespace
}  // namespace depickle::convert
