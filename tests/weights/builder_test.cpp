// Rules WT01 to WT04: a table cannot be built from wrong tensors.
#include "depickle/weights/builder.h"

#include <gtest/gtest.h>

#include "depickle/base/error.h"

namespace depickle::weights {
namespace {

using Numbers = std::vector<uint64_t>;
constexpr std::string_view kBytes = "0123456789abcdefghijklmn";  // 24 of them

// Builds a table over one storage.
struct Made {
  Builder builder{detect::FileKind::zip};
  Made() {
    builder.add_storage({.key = "s",
        .source = std::make_shared<MemorySource>("made", bytes(kBytes)),
        .offset_bytes = 0,
        .size_bytes = kBytes.size()});
  }

  Made& add(std::string_view name, Dtype dtype, const Numbers& shape, const Numbers& strides = {},
      uint64_t offset_bytes = 0) {
    return add_sized(name, dtype, shape, strides, offset_bytes, tensor_bytes(dtype, shape).value_or(0));
  }
  Made& add_sized(std::string_view name, Dtype dtype, const Numbers& shape, const Numbers& strides,
      uint64_t offset_bytes, uint64_t size_bytes) {
    builder.add({.name = builder.arena().copy(name),
        .shape = builder.arena().copy(std::span<const uint64_t>(shape)),
        .strides = builder.arena().copy(std::span<const uint64_t>(strides)),
        .offset_bytes = offset_bytes,
        .size_bytes = size_bytes,
        .dtype = dtype});
    return *this;
  }
  Weights build() { return std::move(builder).build(); }
};

template <typename Action>
std::string refusal(Action&& action) {
  try {
    action();
    return "accepted";
  } catch (const Error& error) {
    return error.what();
  }
}
std::string refused(Dtype dtype, const Numbers& shape, const Numbers& strides = {}, uint64_t offset_bytes = 0) {
  return refusal([&] { Made().add("w", dtype, shape, strides, offset_bytes); });
}

TEST(Builder, AcceptsTensorsInsideTheirStorage) {
  EXPECT_EQ(refused(Dtype::F32, {2, 3}), "accepted");
  EXPECT_EQ(refused(Dtype::F32, {3, 2}, {1, 3}), "accepted");
  EXPECT_EQ(refused(Dtype::F32, {1000}, {0}, 20), "accepted");
  EXPECT_EQ(refused(Dtype::F32, {}, {}, 20), "accepted");
  EXPECT_EQ(refused(Dtype::F32, {0, 7}, {7, 1}, 24), "accepted");
  EXPECT_EQ(refused(Dtype::F32, {0}, {1}, 1'000'000), "accepted") << "without bytes, the offset does not matter";
  EXPECT_EQ(refused(Dtype::F4, {2, 24}, {12, 1}), "accepted");
}

TEST(Builder, WT01_shapes_and_strides_that_do_not_match) {
  EXPECT_EQ(refused(Dtype::F32, {2, 3}, {1}), "tensor \"w\": [WT01] 1 strides for 2 dimensions");
  EXPECT_EQ(refused(Dtype::F4, {3}), "tensor \"w\": [WT01] shape [3] of F4 is not a whole number of bytes below 2^61");
  EXPECT_EQ(refused(Dtype::U8, {uint64_t{1} << 61}),
      "tensor \"w\": [WT01] shape [2305843009213693952] of U8 is not a whole number of bytes below 2^61");
  EXPECT_EQ(refusal([] { Made().add_sized("w", Dtype::F32, {2}, {}, 0, 7); }).substr(0, 18), "tensor \"w\": [WT01]")
      << "a size that does not match the shape";
}

TEST(Builder, WT02_strides_that_overflow) {
  EXPECT_EQ(refused(Dtype::F32, {2}, {UINT64_MAX}),
      "tensor \"w\": [WT02] strides [18446744073709551615] reach beyond 2^64 bytes");
  EXPECT_EQ(refused(Dtype::F32, {2, 2}, {UINT64_MAX / 2, UINT64_MAX / 2 + 2}).substr(12, 6), "[WT02]");
  EXPECT_EQ(refused(Dtype::F32, {2}, {1}, UINT64_MAX - 3).substr(12, 6), "[WT02]");
  EXPECT_EQ(refused(Dtype::F32, {2}, {}, UINT64_MAX - 3).substr(12, 6), "[WT02]");
}

TEST(Builder, WT03_views_that_reach_outside) {
  EXPECT_EQ(refused(Dtype::F32, {2, 3}, {4, 1}),
      "tensor \"w\": [WT03] shape [2, 3], strides [4, 1] and offset 0 reach outside storage \"s\" (have 24 bytes, need "
      "28)");
  EXPECT_EQ(refused(Dtype::F32, {2, 3}, {}, 4),
      "tensor \"w\": [WT03] shape [2, 3], strides [] and offset 4 reach outside storage \"s\" (have 24 bytes, need "
      "28)");
  EXPECT_EQ(refused(Dtype::F32, {1}, {0}, 21).substr(12, 6), "[WT03]");
  EXPECT_EQ(refused(Dtype::F4, {2, 24}, {13, 1}).substr(12, 6), "[WT03]");
}

TEST(Builder, WT04_two_tensors_with_one_name) {
  EXPECT_EQ(refusal([] { Made().add("a", Dtype::U8, {1}).add("b", Dtype::U8, {1}).add("a", Dtype::U8, {2}).build(); }),
      "tensor \"a\": [WT04] two tensors have this name");
  EXPECT_EQ(refusal([] { Made().add("a", Dtype::U8, {1}).add("A", Dtype::U8, {1}).build(); }), "accepted");
}

TEST(Weights, AreFoundByName) {
  Weights weights = Made().add("b", Dtype::U8, {2}).add("a", Dtype::U8, {3}).build();
  EXPECT_EQ(weights.tensors()[0].name, "b") << "the order is kept";
  EXPECT_EQ(weights.at("a").shape[0], 3u);
  EXPECT_EQ(weights.find("b"), &weights.tensors()[0]);
  EXPECT_EQ(weights.find("c"), nullptr);
  EXPECT_EQ(refusal([&] { weights.at("c"); }), "no tensor is named \"c\" (the file has 2 tensors)");
  EXPECT_EQ(Made().build().find("a"), nullptr);
}

TEST(Weights, MoveWithoutMovingTheirTensors) {
  Weights weights = Made().add("a", Dtype::U8, {3}).build();
  const Tensor* tensor = &weights.at("a");
  Weights moved = std::move(weights);
  EXPECT_EQ(&moved.at("a"), tensor);
  EXPECT_EQ(tensor->name, "a");
}

TEST(Weights, ViewIsTheBytesInTheFile) {
  Weights weights = Made().add("a", Dtype::U8, {3}, {}, 4).add("t", Dtype::U8, {2, 2}, {1, 2}).build();
  EXPECT_EQ(text(weights.view(weights.at("a"))), "456");
  EXPECT_EQ(refusal([&] { weights.view(weights.at("t")); }),
      "tensor \"t\": the file does not contain the tensor's bytes in C order (strides, conjugation or byte order); use "
      "read()");
}

TEST(Weights, ReadCopiesAnyPartInCOrder) {
  Weights weights = Made().add("t", Dtype::U8, {2, 3}, {1, 2}).build();
  const Tensor& tensor = weights.at("t");
  std::string out(6, '\0');
  weights.read(tensor, 0, std::as_writable_bytes(std::span(out)));
  EXPECT_EQ(out, "024135");
  std::string part(2, '\0');
  weights.read(tensor, 3, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, "13");
  EXPECT_EQ(refusal([&] { weights.read(tensor, 5, std::as_writable_bytes(std::span(part))); }),
      "tensor \"t\": bytes 5 to 7 are outside the tensor (it has 6)");
  EXPECT_EQ(refusal([&] { weights.read(tensor, UINT64_MAX, std::as_writable_bytes(std::span(part))); }).substr(0, 11),
      "tensor \"t\":");
}

}  // namespace
}  // namespace depickle::weights
