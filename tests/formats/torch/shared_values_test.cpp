// Values that many paths or many objects share: the work is linear in the file.
#include <gmock/gmock.h>

#include "tests/formats/torch/tables.h"
#include "tests/scaling.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;
using testing::Not;

const std::string kTensor = vector("0", 4);

std::string file_around(const std::string& value) { return torch_zip(value, {{"0", floats({1, 2, 3, 4})}}); }
Table table_of_value(const std::string& value, const TableOptions& options = {}) {
  return table_of(file_around(value), options);
}

// Stores the value in the memo, for get().
std::string put(const std::string& value, char number) { return value + "q" + number; }
std::string get(char number) { return std::string("h") + number; }
std::string repeated(const std::string& value, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += value;
  return out;
}
std::string list_of(size_t count, const std::string& value) { return "(" + repeated(value, count) + "l"; }

// A dict of "w" and of `count` keys with `value`, of which the first is `first`.
std::string under_many_keys(size_t count, const std::string& first, const std::string& value) {
  Items items{{"w", kTensor}, {"k0", first}};
  for (size_t i = 1; i < count; ++i) items.emplace_back("k" + std::to_string(i), value);
  return dict(items);
}

TEST(SharedValues, NumbersThatManyPathsReachAreUnused) {
  Table labels = table_of_value(dict({{"w", kTensor}, {"labels", list_of(12'000, "K\1")}}));
  EXPECT_EQ(listed(labels), "w F32[4]");
  EXPECT_EQ(unused_in(labels), "labels (list, 12,000 items, 0)");
  std::string scalars;
  for (int i = 0; i < 20'000; ++i) scalars += call("numpy", "scalar", {number(i)});
  std::string history = put("(" + scalars + "l", 1);
  Table repeats = table_of_value(dict({{"w", kTensor}, {"history", history}, {"again", dict({{"history", get(1)}})}}));
  EXPECT_EQ(listed(repeats), "w F32[4]");
  EXPECT_EQ(unused_in(repeats), "history (list, 20,000 items, 0); again (dict, 1 item, 0)");
}

TEST(SharedValues, AListThatManyPathsReachIsSearchedOnce) {
  expect_linear(50'000, [](size_t size) {
    std::string list = put(list_of(size, "N"), 1);
    EXPECT_EQ(listed(table_of_value(under_many_keys(size / 200, list, get(1)))), "w F32[4]");
    EXPECT_EQ(listed(table_of_value(under_many_keys(size / 200, list, list_of(1, get(1))))), "w F32[4]");
  });
}

TEST(SharedValues, AListWithOneTensorIsSearchedOnce) {
  expect_linear(50'000, [](size_t size) {
    std::string list = put("(" + kTensor + repeated("N", size) + "l", 1);
    EXPECT_EQ(table_of_value(under_many_keys(size / 200, list, get(1))).tensors.size(), 1 + size / 200);
  });
}

TEST(SharedValues, TheCountOfTensorsIsThatOfTheirNames) {
  std::string shared = put(list({kTensor, kTensor}), 1);
  Table table = table_of_value(dict(
      {{"model", dict({{"w", kTensor}})}, {"a", dict({{"x", shared}, {"y", get(1)}})}, {"b", list({get(1), kNone})}}));
  EXPECT_EQ(unused_in(table), "a (dict, 2 items, 4); b (list, 2 items, 2)");
}

TEST(SharedValues, TheCountOfTensorsInCyclesDoesNotDependOnTheOrder) {
  // m and n contain each other, and one tensor each.
  std::string cycle =
      "}q\1" + text("t") + kTensor + "s" + text("n") + "}q\2" + text("t") + kTensor + "s" + text("m") + get(1) + "ss";
  Table table = table_of_value(dict({{"model", dict({{"w", kTensor}})}, {"m", cycle}, {"n", get(2)}}));
  EXPECT_EQ(unused_in(table), "m (dict, 2 items, 2); n (dict, 2 items, 2)");
  EXPECT_EQ(listed(table_of_value(dict({{"m", cycle}, {"n", get(2)}}))),
      "m.t F32[4]; m.n.t F32[4]; n.t F32[4]; n.m.t F32[4]");
}

TEST(SharedValues, ObjectsThatShareAStateDoNotTakeQuadraticTime) {
  expect_linear(5'000, [](size_t size) {
    Items state;
    for (size_t i = 0; i < size; ++i) state.emplace_back(std::to_string(i), kNone);
    std::string objects = put(dict(state), 1) + "0" + put(named("my", "Thing"), 2) + "0(" +
                          repeated(get(2) + ")\x81" + get(1) + "b", size) + "l";
    Error error = error_of_file(file_around(objects));
    EXPECT_EQ(error.rule(), "TF01") << error.what();
    EXPECT_THAT(
        error.message(), HasSubstr("too many paths lead to the same values (listing the tensors takes more than"));
    EXPECT_THAT(std::string(error.what()) + error.hint(), Not(HasSubstr("trust")));
  });
}

TEST(SharedValues, ArraysThatShareATextDecodeItOnce) {
  const std::string dtype = call("numpy", "dtype", {text("u1"), kFalse, kTrue}) +
                            tuple({number(3), text("|"), kNone, kNone, kNone, number(-1), number(-1), number(0)}) + "b";
  expect_linear(50'000, [&](size_t size) {
    std::string data = put(text(std::string(size, 'a')), 1) + "0" + put(named("_codecs", "encode"), 2) + "0" +
                       put(text("latin1"), 3) + "0" + put(dtype, 4) + "0";
    std::string array =
        call("numpy.core.multiarray", "_reconstruct", {named("numpy", "ndarray"), sizes({0}), made::bytes("b")}) +
        tuple(
            {number(1), sizes({static_cast<int64_t>(size)}), get(4), kFalse, get(2) + tuple({get(1), get(3)}) + "R"}) +
        "b";
    EXPECT_EQ(table_of_value(data + "(" + repeated(array, size / 20) + "l").tensors.size(), size / 20);
  });
}

TEST(SharedValues, TensorsThatShareMetadataReadOnlySmallDicts) {
  Items metadata;
  for (int i = 0; i < 257; ++i) metadata.emplace_back(std::to_string(i), kTrue);
  Error error = error_of_file(file_around(tensor(storage("FloatStorage", "0", 4), {4}, {1}, 0, dict(metadata))));
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_EQ(error.message(), "metadata has 257 entries (at most 256)");
}

TEST(SharedValues, EachSplitOfARootIsTriedOnce) {
  std::string cycle = "}q\1" + text("a") + get(1) + "s" + text("a.a") + get(1) + "s";
  std::string root = "a";
  for (int i = 0; i < 60; ++i) root += ".a";
  EXPECT_EQ(error_of_file(file_around(cycle), {.root = root + ".b"}).code(), Code::not_found);
}

TEST(SharedValues, ALongKeyOfManyDictsIsNotCopiedForEach) {
  expect_linear(200'000, [](size_t size) {
    auto dicts = [&](const std::string& value) {
      return put(text(std::string(size, 'k')), 1) + "0(" + repeated("}" + get(1) + value + "s", size / 100) + "l";
    };
    EXPECT_EQ(listed(table_of_value(dict({{"w", kTensor}, {"dicts", dicts("N")}}))), "w F32[4]");
    EXPECT_EQ(error_of_file(file_around(dict({{"w", kTensor}, {"dicts", dicts("]")}}))).rule(), "TF01");
  });
}

}  // namespace
}  // namespace depickle::torch
