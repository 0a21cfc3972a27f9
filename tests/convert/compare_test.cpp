#include "depickle/convert/compare.h"

#include <gmock/gmock.h>

#include "depickle/base/error.h"
#include "tests/convert/made.h"

namespace depickle::convert {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> differences(const Comparison& comparison) {
  std::vector<std::string> out;
  for (const Difference& difference : comparison.differences) out.push_back(describe(difference));
  return out;
}

void put_u32(Made& made, size_t at, uint32_t value) { std::memcpy(made.bytes().data() + at, &value, 4); }

TEST(Compare, Equal_tables_in_different_order_are_identical) {
  Weights a = Made().add("x", Dtype::F32, {2, 3}).add("y", Dtype::U8, {5}, {}, 100).add("e", Dtype::F16, {0}).build();
  Weights b = Made().add("e", Dtype::F16, {0}).add("y", Dtype::U8, {5}, {}, 100).add("x", Dtype::F32, {2, 3}).build();
  Comparison comparison = compare(a, b);
  EXPECT_TRUE(comparison.is_identical());
  EXPECT_EQ(comparison.tensors, 3u);
  EXPECT_EQ(comparison.identical, 3u);
  EXPECT_EQ(comparison.compared_bytes, 29u);
}

TEST(Compare, The_first_differing_element_is_reported_with_its_bits) {
  Made one, other;
  put_u32(one, 20, 0x3f80'0000), put_u32(other, 20, 0x3f80'0001);
  one.bytes()[30] = std::byte{1}, other.bytes()[30] = std::byte{2};
  Comparison comparison = compare(one.add("w", Dtype::F32, {10}).build(), other.add("w", Dtype::F32, {10}).build());
  EXPECT_THAT(differences(comparison), ElementsAre(R"(tensor "w": element 5 is 0x3f800000 in A and 0x3f800001 in B)"));
  EXPECT_EQ(comparison.identical, 0u);
}

TEST(Compare, Minus_zero_and_NaN_payloads_are_compared) {
  Made one, other;
  put_u32(one, 0, 0), put_u32(other, 0, 0x8000'0000);
  put_u32(one, 4, 0x7fc0'0000), put_u32(other, 4, 0x7fc0'0001);
  one.add("zero", Dtype::F32, {1}).add("nan", Dtype::F32, {1}, {}, 4);
  other.add("zero", Dtype::F32, {1}).add("nan", Dtype::F32, {1}, {}, 4);
  EXPECT_EQ(compare(one.build(), other.build()).differences.size(), 2u);
}

TEST(Compare, Equal_NaNs_are_identical) {
  Made one, other;
  put_u32(one, 0, 0x7fc0'0001), put_u32(other, 0, 0x7fc0'0001);
  EXPECT_TRUE(
      compare(one.add("nan", Dtype::F32, {1}).build(), other.add("nan", Dtype::F32, {1}).build()).is_identical());
}

TEST(Compare, Dtypes_and_shapes_are_compared) {
  Weights a = Made().add("d", Dtype::F32, {2}).add("s", Dtype::F32, {2, 3}).build();
  Weights b = Made().add("d", Dtype::I32, {2}).add("s", Dtype::F32, {6}).build();
  EXPECT_THAT(differences(compare(a, b)),
      ElementsAre(R"(tensor "d": F32 in A and I32 in B)", R"(tensor "s": [2, 3] in A and [6] in B)"));
}

TEST(Compare, Names_in_only_one_table_are_reported) {
  Weights a = Made().add("both", Dtype::F32, {2}).add("a", Dtype::F32, {2}).build();
  Weights b = Made().add("b", Dtype::F32, {2}).add("both", Dtype::F32, {2}).build();
  EXPECT_THAT(differences(compare(a, b)), ElementsAre(R"(tensor "a": only in A)", R"(tensor "b": only in B)"));
}

TEST(Compare, A_dropped_name_is_compared_with_the_kept_name) {
  Made stored;
  stored.add("wte", Dtype::F32, {4}).builder().metadata({{"format", "pt"}, {"lm_head", "wte"}});
  Weights b = stored.build();
  Weights tied = Made().add("lm_head", Dtype::F32, {4}).add("wte", Dtype::F32, {4}).build();
  for (const Comparison& comparison : {compare(tied, b), compare(b, tied)}) {
    EXPECT_TRUE(comparison.is_identical());
    EXPECT_EQ(comparison.identical, 2u);
    ASSERT_EQ(comparison.tied.size(), 1u);
    EXPECT_EQ(comparison.tied[0].name, "lm_head");
    EXPECT_EQ(comparison.tied[0].kept, "wte");
  }
  Weights untied = Made().add("lm_head", Dtype::F32, {4}, {}, 4).add("wte", Dtype::F32, {4}).build();
  EXPECT_EQ(compare(untied, b).differences.size(), 1u);
}

TEST(Compare, Strided_tensors_are_compared_by_their_elements) {
  Made one, other;
  one.add("t", Dtype::F32, {60, 70}, {1, 60});
  for (uint32_t row = 0; row < 60; ++row)
    for (uint32_t column = 0; column < 70; ++column)
      std::memcpy(other.bytes().data() + 4 * (row * 70 + column), one.bytes().data() + 4 * (column * 60 + row), 4);
  other.add("t", Dtype::F32, {60, 70});
  Weights a = one.build(), b = other.build();
  EXPECT_THAT(differences(compare(a, b)), IsEmpty());
  Weights straight = Made().add("t", Dtype::F32, {60, 70}).build();
  EXPECT_EQ(compare(straight, b).differences[0].element, 1u);
}

TEST(Compare, Large_tensors_are_compared_completely_by_several_threads) {
  Made one(40 << 20), other(40 << 20);
  other.bytes()[(30 << 20) + 4] ^= std::byte{1}, other.bytes().back() ^= std::byte{1};
  Comparison comparison = compare(
      one.add("w", Dtype::U8, {40 << 20}).build(), other.add("w", Dtype::U8, {40 << 20}).build(), {.threads = 3});
  ASSERT_EQ(comparison.differences.size(), 1u);
  EXPECT_EQ(comparison.differences[0].element, (30u << 20) + 4);
}

TEST(Compare, Progress_reaches_the_total_and_can_cancel) {
  Weights a = Made(8 << 20).add("w", Dtype::U8, {8 << 20}).add("small", Dtype::F32, {3}).build();
  Weights b = Made(8 << 20).add("small", Dtype::F32, {3}).add("w", Dtype::U8, {8 << 20}).build();
  uint64_t done = 0, total = 0;
  compare(a, b,
      {.threads = 2,
          .progress = [&](const Step& step) { done = step.done_bytes, total = step.total_bytes; },
          .file = "x"});
  EXPECT_EQ(done, total);
  EXPECT_EQ(total, (8u << 20) + 12);
  EXPECT_THROW(
      compare(
          a, b, {.threads = 2, .progress = [](const Step&) { throw Error(Code::cancelled, "", "stop"); }, .file = "x"}),
      Error);
}

}  // namespace
}  // namespace depickle::convert
