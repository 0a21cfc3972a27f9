#include "depickle/formats/torch/globals.h"

#include <gtest/gtest.h>

namespace depickle::torch {
namespace {

struct Known {
  std::string_view torch;
  uint32_t bytes;
  std::optional<Dtype> dtype;
};

TEST(StorageClasses, HaveTheirElementTypes) {
  constexpr Known kKnown[] = {{"DoubleStorage", 8, Dtype::F64}, {"FloatStorage", 4, Dtype::F32},
      {"HalfStorage", 2, Dtype::F16}, {"BFloat16Storage", 2, Dtype::BF16}, {"LongStorage", 8, Dtype::I64},
      {"IntStorage", 4, Dtype::I32}, {"ShortStorage", 2, Dtype::I16}, {"CharStorage", 1, Dtype::I8},
      {"ByteStorage", 1, Dtype::U8}, {"BoolStorage", 1, Dtype::BOOL}, {"ComplexFloatStorage", 8, Dtype::C64},
      {"ComplexDoubleStorage", 16, {}}, {"ComplexHalfStorage", 4, {}}, {"QInt8Storage", 1, {}},
      {"QUInt8Storage", 1, {}}, {"QInt32Storage", 4, {}}, {"QUInt4x2Storage", 1, {}}, {"QUInt2x4Storage", 1, {}},
      {"UntypedStorage", 1, Dtype::U8}, {"_UntypedStorage", 1, Dtype::U8}};
  for (const Known& known : kKnown) {
    const ElementType* element = find_storage_class(known.torch);
    ASSERT_TRUE(element) << known.torch;
    EXPECT_EQ(element->bytes, known.bytes) << known.torch;
    EXPECT_EQ(element->dtype, known.dtype) << known.torch;
  }
  for (auto other : {"TypedStorage", "Storage", "FloatTensor", "floatstorage", ""})
    EXPECT_FALSE(find_storage_class(other)) << other;
}

TEST(DtypeObjects, AreFoundByNameAndAlias) {
  constexpr Known kKnown[] = {{"uint16", 2, Dtype::U16}, {"uint32", 4, Dtype::U32}, {"uint64", 8, Dtype::U64},
      {"float8_e4m3fn", 1, Dtype::F8_E4M3}, {"float8_e5m2", 1, Dtype::F8_E5M2},
      {"float8_e4m3fnuz", 1, Dtype::F8_E4M3FNUZ}, {"float8_e5m2fnuz", 1, Dtype::F8_E5M2FNUZ},
      {"float8_e8m0fnu", 1, Dtype::F8_E8M0}, {"float4_e2m1fn_x2", 1, Dtype::F4}, {"bits16", 2, {}},
      {"complex32", 4, {}}, {"half", 2, Dtype::F16}, {"long", 8, Dtype::I64}, {"double", 8, Dtype::F64},
      {"cfloat", 8, Dtype::C64}};
  for (const Known& known : kKnown) {
    const ElementType* element = find_dtype_object(known.torch);
    ASSERT_TRUE(element) << known.torch;
    EXPECT_EQ(element->bytes, known.bytes) << known.torch;
    EXPECT_EQ(element->dtype, known.dtype) << known.torch;
  }
  EXPECT_FALSE(find_dtype_object("float128"));
}

}  // namespace
}  // namespace depickle::torch
