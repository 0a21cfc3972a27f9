// Rules TL01 to TL03: the container of torch 0.1.10 to 1.5.
#include <gmock/gmock.h>

#include "tests/formats/torch/tables.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kTwo = floats({5, 6});
std::string legacy_storage(
    std::string_view type, std::string_view key, int64_t numel, const std::string& view = kNone) {
  return storage(type, key, numel, view);
}
std::string legacy_vector(std::string_view key, int64_t numel) {
  return tensor(legacy_storage("FloatStorage", key, numel), {numel}, {1});
}
const std::string kBoth = dict({{"a", legacy_vector("9", 4)}, {"b", legacy_vector("10", 2)}});

TEST(Legacy, StoragesAreInTheOrderOfTheList) {
  Table table = table_of(legacy(kBoth, {{"10", 2, kTwo}, {"9", 4, kFour}}));
  EXPECT_EQ(table.kind, detect::FileKind::torch_legacy);
  EXPECT_EQ(listed(table), "a F32[4]; b F32[2]");
  EXPECT_EQ(content_of(table, 0), kFour);
  EXPECT_EQ(content_of(table, 1), kTwo);
}

TEST(Legacy, AViewIsAPieceOfItsStorage) {
  std::string view = tuple({text("v"), number(1), number(3)});
  Table table = table_of(
      legacy(dict({{"w", tensor(legacy_storage("FloatStorage", "9", 4, view), {2}, {1}, 1)}}), {{"9", 4, kFour}}));
  EXPECT_EQ(content_of(table), floats({3, 4}));
}

TEST(Legacy, UntypedStoragesCountBytes) {
  std::string value = rebuild("_rebuild_tensor_v3", {legacy_storage("UntypedStorage", "1", 8), number(0), sizes({2}),
                                                        sizes({1}), kFalse, dict({}), named("torch", "uint32")});
  EXPECT_EQ(listed(table_of(legacy(dict({{"w", value}}), {{"1", 8, kTwo}}))), "w U32[2]");
}

TEST(Legacy, BytesAfterTheLastStorageAreNoted) {
  EXPECT_THAT(table_of(legacy(kBoth, {{"9", 4, kFour}, {"10", 2, kTwo}}) + "PK").notes,
      testing::ElementsAre("2 bytes after the last storage"));
}

TEST(Legacy, TL01_another_version) {
  std::string file = kMagic + pickle(number(1002)) + pickle("}") + pickle("}") + pickle("]");
  EXPECT_EQ(refusal(file), "f: at byte 15: [TL01] the protocol version is not 1001");
}

TEST(Legacy, TL02_lists_and_ids_that_do_not_match) {
  EXPECT_THAT(
      refusal(legacy(kBoth, {{"9", 4, kFour}})), HasSubstr("[TL02] storage \"10\" is not in the list of storages"));
  EXPECT_THAT(refusal(legacy(kBoth, {{"9", 4, kFour}, {"10", 2, kTwo}, {"11", 2, kTwo}})),
      HasSubstr("[TL02] the list of storages names \"11\", which no tensor uses"));
  EXPECT_THAT(refusal(legacy(kBoth, {{"9", 4, kFour}, {"9", 4, kFour}})),
      HasSubstr("[TL02] the list of storages names \"9\" twice"));
  EXPECT_THAT(refusal(legacy(kBoth, {}, list({number(9)}))), HasSubstr("[TL02] a storage key is not a str"));
  EXPECT_THAT(refusal(legacy(kBoth, {}, text("9"))), HasSubstr("[TL02] the storage keys are not a list"));
}

TEST(Legacy, TL03_storages_with_wrong_lengths) {
  std::string one = dict({{"a", legacy_vector("9", 4)}});
  EXPECT_THAT(refusal(legacy(one, {{"9", 4, kTwo}})),
      HasSubstr("[TL03] the file ends inside storage \"9\" (have 8 bytes, need 16)"));
  EXPECT_THAT(
      refusal(legacy(one, {{"9", -1, kFour}})), HasSubstr("[TL03] storage \"9\" has an invalid length of -1 elements"));
  EXPECT_THAT(refusal(legacy(one, {{"9", INT64_MAX, kFour}})),
      HasSubstr("[TL03] storage \"9\" has an invalid length of 9223372036854775807 elements"));
}

TEST(Legacy, TS02_a_length_that_differs_from_the_pickle) {
  EXPECT_THAT(refusal(legacy(dict({{"a", legacy_vector("9", 4)}}), {{"9", 2, kTwo}})),
      HasSubstr("[TS02] storage \"9\" has 2 elements (the pickle declares 4)"));
  std::string mixed =
      dict({{"a", legacy_storage("FloatStorage", "9", 4)}, {"b", legacy_storage("DoubleStorage", "9", 2)}});
  EXPECT_THAT(refusal(legacy(mixed, {{"9", 4, kFour}})), HasSubstr("[TS02] storage \"9\""));
}

TEST(Legacy, TS04_views_that_reach_outside) {
  std::string view = tuple({text("v"), number(2), number(3)});
  EXPECT_THAT(
      refusal(legacy(dict({{"w", tensor(legacy_storage("FloatStorage", "9", 4, view), {1}, {1})}}), {{"9", 4, kFour}})),
      HasSubstr("[TS04] a view of elements 2 to 5 reaches outside storage \"9\""));
}

// Regression: only contiguous tensors were kept inside the view.
TEST(Legacy, TT05_views_of_a_view_that_reach_outside) {
  auto view_of_view = [&](std::initializer_list<int64_t> shape, std::initializer_list<int64_t> strides, int offset) {
    std::string view = tuple({text("v"), number(1), number(2)});  // elements 1 and 2 of 4
    return legacy(
        dict({{"w", tensor(legacy_storage("FloatStorage", "9", 4, view), shape, strides, offset)}}), {{"9", 4, kFour}});
  };
  EXPECT_EQ(refusal(view_of_view({2}, {1}, 0)), "accepted: w F32[2]@4");
  EXPECT_EQ(refusal(view_of_view({2, 2}, {0, 1}, 0)), "accepted: w F32[2,2]@4 by [0,1]");
  EXPECT_THAT(refusal(view_of_view({2}, {1}, 1)), HasSubstr("[TT05] shape [2], strides [1] of float32 at element 1 "
                                                            "reaches outside its storage (have 8 bytes, need 12)"));
  EXPECT_THAT(refusal(view_of_view({2}, {2}, 0)), HasSubstr("[TT05] shape [2], strides [2] of float32 at element 0 "
                                                            "reaches outside its storage (have 8 bytes, need 12)"));
  EXPECT_THAT(refusal(view_of_view({2, 2}, {1, 2}, 0)), HasSubstr("[TT05]"));
  EXPECT_THAT(refusal(view_of_view({2, 2}, {0, 1}, 1)), HasSubstr("[TT05]"));
}

TEST(Legacy, EveryPrefixIsRefused) {
  std::string whole = legacy(kBoth, {{"9", 4, kFour}, {"10", 2, kTwo}});
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_THAT(refusal(whole.substr(0, length)), testing::Not(StartsWith("accepted"))) << length;
}

TEST(Legacy, AnErrorInTheObjectHasItsOffsetInTheFile) {
  std::string file = legacy("}", {});
  size_t at = file.find("\x80\2}.") + 2;
  EXPECT_EQ(refusal(patched(file, at, '\xff')), "f: at byte " + std::to_string(at) + ": [PK01] 0xff is not an opcode");
}

}  // namespace
}  // namespace depickle::torch
