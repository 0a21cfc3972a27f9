// Rules TF01 and TF02: from the graph's root to names.
#include <gmock/gmock.h>

#include "tests/formats/torch/tables.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;

const std::vector<std::pair<std::string, std::string>> kData{{"0", floats({1, 2, 3, 4})}};
const std::string kTensor = vector("0", 4);

Table table_around(const std::string& value, const TableOptions& options = {}) {
  return table_of(torch_zip(value, kData), options);
}
std::string names(const std::string& value, const TableOptions& options = {}) {
  std::string out;
  for (const Tensor& tensor : table_around(value, options).tensors)
    out += (out.empty() ? "" : " ") + std::string(tensor.name);
  return out;
}

TEST(StateDict, NamesAreItsKeys) {
  EXPECT_EQ(names(dict({{"h.0.weight", kTensor}, {"", kTensor}})), "h.0.weight ");
  EXPECT_EQ(names(ordered({{"b", kTensor}, {"a", kTensor}})), "b a");
  EXPECT_EQ(names("}" + number(3) + kTensor + "s\x88" + kTensor + "sN" + kTensor + "sU\1\xe9" + kTensor + "s"),
      "3 True None \u00e9")
      << "a Python 2 str that is not UTF-8 is Latin-1";
  EXPECT_EQ(names(kTensor), "tensor") << "a bare tensor";
  EXPECT_EQ(names(list({kTensor, tuple({kTensor, kTensor})})), "0 1.0 1.1");
}

TEST(StateDict, FormsOfTheOrderedDict) {
  std::string items = list({list({text("a"), kTensor}), tuple({text("b"), kTensor})});
  EXPECT_EQ(names(call("collections", "OrderedDict", {items})), "a b") << "Python 2 gives the items as an argument";
  EXPECT_EQ(
      names(ordered({{"a", kTensor}}) + dict({{"_metadata", ordered({{"", dict({{"version", number(1)}})}})}}) + "b"),
      "a")
      << "its attributes are no content";
  EXPECT_EQ(
      names(call("collections", "defaultdict", {named("builtins", "list")}) + pairs({{"a", kTensor}}) + "u"), "a");
  EXPECT_EQ(names(call("collections", "Counter", {dict({{"a", kTensor}})})), "a");
  EXPECT_EQ(names(pairs({{"a", kTensor}, {"b", kTensor}, {"a", kTensor}}) + "d"), "a b")
      << "the last value in the first place";
}

TEST(StateDict, WhatIsNoTensorIsLeft) {
  Table table = table_around(
      dict({{"w", kTensor}, {"epoch", number(3)}, {"args", instance("argparse", "Namespace", {{"lr", number(1)}})},
          {"log", list({number(1), number(2)})}, {"name", text("gpt")}}));
  EXPECT_EQ(left_in(table),
      "epoch (int 3, 0); args (object argparse.Namespace, 0); log (list, 2 items, 0); name (str \"gpt\", 0)");
}

TEST(StateDict, TensorsInsideUnknownObjectsAreReached) {
  EXPECT_EQ(names(dict({{"x", instance("some", "Thing", {{"inner", kTensor}})}})), "x.inner");
  EXPECT_EQ(names(dict({{"x", call("some", "Thing", {kTensor})}})), "x.0");
  EXPECT_EQ(names(dict({{"x", named("some", "Thing") + ")\x81" + tuple({kNone, dict({{"slot", kTensor}})}) + "b"}})),
      "x.slot");
  EXPECT_EQ(names(dict({{"x", named("some", "Thing") + ")\x81" + list({kTensor}) + "b"}})), "x.0");
  EXPECT_EQ(names(dict({{"x", named("some", "List") + ")\x81" + kTensor + "a"}})), "x.0");
  EXPECT_EQ(names(dict({{"x", named("some", "Dict") + ")\x81" + text("k") + kTensor + "s"}})), "x.k");
  EXPECT_EQ(
      names(dict({{"x", named("some", "Thing") + ")\x81" + instance("some", "State", {{"inner", kTensor}}) + "b"}})),
      "x.0.inner");
}

TEST(StateDict, CyclesEnd) {
  EXPECT_EQ(names("}q\1" + text("w") + kTensor + "s" + text("self") + "h\1s"), "w");
  EXPECT_EQ(names(dict({{"w", kTensor}, {"l", "]q\1h\1a"}})), "w");
}

// Regression: an object that is its own state was followed without end.
TEST(StateDict, AnObjectThatIsItsOwnStateEnds) {
  EXPECT_EQ(names(dict({{"w", kTensor}, {"x", named("a", "B") + ")\x81q\1h\1b"}})), "w");
}

TEST(StateDict, TF01_parts_repeated_without_end) {
  std::string laughs = list({kTensor}) +
                       "q\1"
                       "0";
  for (int i = 0; i < 40; ++i)
    laughs +=
        "(h\1h\1h\1h\1lq\1"
        "0";
  Error error = error_of_file(torch_zip(laughs + "h\1", kData));
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_STREQ(error.what(), "f: [TF01] the pickle repeats its parts without end");
}

TEST(StateDict, TF01_parts_nested_without_end) {
  std::string deep = kTensor;
  for (int i = 0; i < 300; ++i) deep += "\x85";
  EXPECT_THAT(refusal(torch_zip(deep, kData)), HasSubstr("[TF01] values are nested more than 256 deep"));
}

TEST(StateDict, TF02_names_beyond_all_measure) {
  EXPECT_EQ(names(dict({{std::string(4096, 'n'), kTensor}})).size(), 4096u);
  EXPECT_THAT(refusal(torch_zip(dict({{std::string(4097, 'n'), kTensor}}), kData)),
      HasSubstr("[TF02] a tensor's name has 4097 bytes (at most 4096)"));
}

TEST(Module, GivesWhatItsStateDictWould) {
  std::string inner = module({{"weight", kTensor}, {"bias", kNone}}, {{"running_mean", kTensor}});
  Table table = table_around(
      module({{"scale", kTensor}}, {{"seen", kTensor}}, {{"0", inner}, {"gone", kNone}, {"1", module({})}}));
  std::string found;
  for (const Tensor& tensor : table.tensors) found += std::string(tensor.name) + " ";
  EXPECT_EQ(found, "scale seen 0.weight 0.running_mean ");
}

TEST(Module, BuffersThatAreNotPersistentAreLeft) {
  std::string hidden = call("__builtin__", "set", {list({text("mask")})});
  Table table = table_around(dict({{"m", module({{"w", kTensor}}, {{"mask", kTensor}, {"kept", kTensor}}, {},
                                             {{"_non_persistent_buffers_set", hidden}})}}));
  EXPECT_EQ(listed(table), "m.w F32[4]; m.kept F32[4]");
  EXPECT_EQ(left_in(table), "m.mask (buffer that is not persistent, so not in the state_dict, 1)");
}

TEST(Module, TensorsThatAreNotRegisteredAreLeft) {
  Table table = table_around(module({{"w", kTensor}}, {}, {}, {{"cache", kTensor}}));
  EXPECT_EQ(listed(table), "w F32[4]");
  EXPECT_EQ(left_in(table), "cache (tensor that is no parameter or buffer, so not in the state_dict, 1)");
}

TEST(Module, ASharedPartHasBothNames) {
  std::string shared = module({{"w", kTensor}}) + "q\1";
  EXPECT_EQ(names(module({}, {}, {{"encoder", shared}, {"decoder", "h\1"}})), "encoder.w decoder.w");
}

TEST(Module, ALinkToTheParentEnds) {
  std::string child_state =
      dict({{"_parameters", ordered({{"w", kTensor}})}, {"_buffers", "}"}, {"_modules", dict({{"up", "h\1"}})}});
  std::string child = named("my", "Child") + ")\x81" + child_state + "b";
  std::string parent_state =
      dict({{"_parameters", "}"}, {"_buffers", "}"}, {"_modules", dict({{"child", child}})}, {"parent", "h\1"}});
  EXPECT_EQ(names(named("my", "Parent") + ")\x81q\1" + parent_state + "b"), "child.w");
}

}  // namespace
}  // namespace depickle::torch
