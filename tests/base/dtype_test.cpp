#include "depickle/base/dtype.h"

#include <gtest/gtest.h>

#include "depickle/base/tensor.h"

namespace depickle {
namespace {

using Numbers = std::vector<uint64_t>;

struct Known {
  Dtype dtype;
  std::string_view name;
  uint32_t bits;
};
// safetensors 0.8, tensor.rs.
constexpr Known kKnown[] = {{Dtype::BOOL, "BOOL", 8}, {Dtype::F4, "F4", 4}, {Dtype::F6_E2M3, "F6_E2M3", 6},
    {Dtype::F6_E3M2, "F6_E3M2", 6}, {Dtype::U8, "U8", 8}, {Dtype::I8, "I8", 8}, {Dtype::F8_E5M2, "F8_E5M2", 8},
    {Dtype::F8_E4M3, "F8_E4M3", 8}, {Dtype::F8_E8M0, "F8_E8M0", 8}, {Dtype::F8_E4M3FNUZ, "F8_E4M3FNUZ", 8},
    {Dtype::F8_E5M2FNUZ, "F8_E5M2FNUZ", 8}, {Dtype::I16, "I16", 16}, {Dtype::U16, "U16", 16}, {Dtype::F16, "F16", 16},
    {Dtype::BF16, "BF16", 16}, {Dtype::I32, "I32", 32}, {Dtype::U32, "U32", 32}, {Dtype::F32, "F32", 32},
    {Dtype::C64, "C64", 64}, {Dtype::F64, "F64", 64}, {Dtype::I64, "I64", 64}, {Dtype::U64, "U64", 64}};

TEST(Dtype, TheTableEqualsTheReference) {
  EXPECT_EQ(std::size(kKnown), static_cast<size_t>(kDtypes));
  for (size_t i = 0; i < std::size(kKnown); ++i) {
    const Known& known = kKnown[i];
    EXPECT_EQ(static_cast<size_t>(known.dtype), i) << known.name;
    EXPECT_EQ(name(known.dtype), known.name);
    EXPECT_EQ(bits(known.dtype), known.bits) << known.name;
    EXPECT_EQ(unit_bytes(known.dtype), std::max(1u, known.bits / 8)) << known.name;
    EXPECT_EQ(find_dtype(known.name), known.dtype);
  }
}

TEST(Dtype, IsFoundByExactNameOnly) {
  for (auto other : {"f32", "F32 ", "", "F8", "float32"}) EXPECT_FALSE(find_dtype(other)) << other;
}

TEST(TensorBytes, AreCountedInWholeBytes) {
  EXPECT_EQ(tensor_bytes(Dtype::F32, {}), 4u);
  EXPECT_EQ(tensor_bytes(Dtype::F32, Numbers{2, 3}), 24u);
  EXPECT_EQ(tensor_bytes(Dtype::F32, Numbers{2, 0}), 0u);
  EXPECT_EQ(tensor_bytes(Dtype::F4, Numbers{2, 3}), 3u);
  EXPECT_EQ(tensor_bytes(Dtype::F4, Numbers{3}), std::nullopt);
  EXPECT_EQ(tensor_bytes(Dtype::F6_E2M3, Numbers{4}), 3u);
}

TEST(TensorBytes, AnOverflowHasNoSize) {
  EXPECT_EQ(tensor_bytes(Dtype::U8, Numbers{uint64_t{1} << 32, uint64_t{1} << 32}), std::nullopt);
  EXPECT_EQ(tensor_bytes(Dtype::U8, Numbers{uint64_t{1} << 61}), std::nullopt) << "in bits";
  EXPECT_EQ(tensor_bytes(Dtype::U8, Numbers{uint64_t{1} << 60}), uint64_t{1} << 60);
  EXPECT_EQ(tensor_bytes(Dtype::U8, Numbers{uint64_t{1} << 63, 2, 0}), std::nullopt) << "before the zero";
}

TEST(COrder, IgnoresTheStrideOfASingleElement) {
  EXPECT_TRUE(is_c_order(Dtype::F32, Numbers{2, 3}, Numbers{3, 1}));
  EXPECT_TRUE(is_c_order(Dtype::F32, Numbers{2, 1, 3}, Numbers{3, 77, 1}));
  EXPECT_TRUE(is_c_order(Dtype::F32, Numbers{2, 0}, Numbers{9, 9}));
  EXPECT_FALSE(is_c_order(Dtype::F32, Numbers{2, 3}, Numbers{1, 2}));
  EXPECT_FALSE(is_c_order(Dtype::F32, Numbers{2}, Numbers{0}));
  EXPECT_TRUE(is_c_order(Dtype::F4, Numbers{2, 4}, Numbers{2, 1})) << "strides of F4 count bytes";
}

TEST(Tensor, IsContiguousOnlyInCOrderWithoutFlags) {
  Numbers shape{2, 3}, transposed{1, 2};
  Tensor tensor{.shape = shape, .strides = {}, .size_bytes = 24, .dtype = Dtype::F32};
  EXPECT_TRUE(tensor.is_contiguous());
  Tensor other = tensor;
  other.strides = transposed;
  EXPECT_FALSE(other.is_contiguous());
  for (bool Tensor::* flag : {&Tensor::conjugate, &Tensor::negate, &Tensor::swap}) {
    other = tensor;
    other.*flag = true;
    EXPECT_FALSE(other.is_contiguous());
    other.size_bytes = 0;
    EXPECT_TRUE(other.is_contiguous());
  }
}

}  // namespace
}  // namespace depickle
