// Rules TF01 and TF02: the names of the tensors.
#include <gmock/gmock.h>

#include "tests/formats/torch/tables.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;

const std::vector<std::pair<std::string, std::string>> kData{{"0", floats({1, 2, 3, 4})}};
Table table_around(const std::string& value, const TableOptions& options = {}) {
  return table_of(torch_zip(value, kData), options);
}
std::string names(const std::string& value, const TableOptions& options = {}) {
  std::string out;
  for (const Tensor& tensor : table_around(value, options).tensors)
    out += (out.empty() ? "" : " ") + std::string(tensor.name);
  return out;
}

TEST(StateDict, TheKeysAreTheNames) {
  EXPECT_EQ(names(dict({{"h.0.weight", kTensor}, {"", kTensor}})), "h.0.weight ");
  EXPECT_EQ(names(ordered({{"b", kTensor}, {"a", kTensor}})), "b a");
  EXPECT_EQ(names("}" + number(3) + kTensor + "s\x88" + kTensor + "sN" + kTensor + "sU\1\xe9" + kTensor + "s"),
      "3 True None \u00e9")
      << "a Python 2 str that is not UTF-8 is Latin-1";
  EXPECT_EQ(names(kTensor), "tensor") << "a bare tensor";
  EXPECT_EQ(names(list({kTensor, tuple({kTensor, kTensor})})), "0 1.0 1.1");
}

TEST(StateDict, KeysThatAreNotText) {
  auto name_of = [](const std::string& key) { return names("}" + key + kTensor + "s"); };
  EXPECT_EQ(name_of(made::bytes("k")), "k");
  EXPECT_EQ(name_of(made::bytes("\x01\\\xff")), "\\x01\\\\\\xff");
  EXPECT_EQ(name_of(call("_codecs", "encode", {text("\x01k\u00ff"), text("latin1")})), "\\x01k\\xff")
      << "protocol 2 writes bytes so";
  EXPECT_EQ(name_of(tuple({text("a"), number(1)})), "a.1");
  EXPECT_EQ(name_of(tuple({number(0), tuple({number(1), kNone})})), "0.1.None");
  EXPECT_EQ(name_of(tuple({})), "()");
  EXPECT_EQ(name_of("G\x3f\xf8" + std::string(6, '\0')), "1.5");
  EXPECT_EQ(name_of("G\x3f\xf0" + std::string(6, '\0')), "1.0");
  EXPECT_EQ(name_of("\x8a\x09" + std::string(8, '\0') + "\1"), "18446744073709551616");
  EXPECT_EQ(name_of("\x8a\x09" + std::string(8, '\0') + "\xff"), "-18446744073709551616");
  EXPECT_EQ(name_of("L18446744073709551617L\n"), "18446744073709551617");
  EXPECT_EQ(name_of(named("torch", "float16")), "torch.float16");
  EXPECT_EQ(name_of(call("my", "Enum", {number(1)})), "my.Enum(1)");
}

TEST(StateDict, WT04_shows_the_keys_of_equal_names) {
  Error error = error_of_file(torch_zip("}" + number(1) + kTensor + "s" + text("1") + kTensor + "s", kData));
  EXPECT_STREQ(
      error.what(), "f: tensor \"1\": [WT04] two tensors have this name: the key 1 (int), and the key \"1\" (str)");
  EXPECT_EQ(error_of_file(torch_zip(dict({{"a", dict({{"b", kTensor}})}, {"a.b", kTensor}}), kData)).message(),
      "two tensors have this name: the keys \"a\" (str), \"b\" (str), and the key \"a.b\" (str)");
  EXPECT_EQ(
      error_of_file(torch_zip("}" + made::bytes("k") + kTensor + "s" + text("k") + kTensor + "s", kData)).message(),
      "two tensors have this name: the key b\"k\" (bytes), and the key \"k\" (str)");
  EXPECT_EQ(
      error_of_file(torch_zip("}" + kNone + list({kTensor}) + "s" + text("None.0") + kTensor + "s", kData)).message(),
      "two tensors have this name: the keys None, 0 (item), and the key \"None.0\" (str)");
}

TEST(StateDict, TF02_a_tuple_of_tuples_is_cut) {
  std::string key = text("k");
  for (int i = 0; i < 20; ++i)
    key +=
        "q\1"
        "0(h\1h\1h\1h\1t";
  EXPECT_EQ(error_of_file(torch_zip("}" + key + kTensor + "s", kData)).rule(), "TF02");
}

TEST(StateDict, FormsOfTheOrderedDict) {
  std::string items = list({list({text("a"), kTensor}), tuple({text("b"), kTensor})});
  EXPECT_EQ(names(call("collections", "OrderedDict", {items})), "a b") << "in Python 2, the items are an argument";
  EXPECT_EQ(
      names(ordered({{"a", kTensor}}) + dict({{"_metadata", ordered({{"", dict({{"version", number(1)}})}})}}) + "b"),
      "a")
      << "attributes are not items";
  EXPECT_EQ(
      names(call("collections", "defaultdict", {named("builtins", "list")}) + pairs({{"a", kTensor}}) + "u"), "a");
  EXPECT_EQ(names(call("collections", "Counter", {dict({{"a", kTensor}})})), "a");
  EXPECT_EQ(names(pairs({{"a", kTensor}, {"b", kTensor}, {"a", kTensor}}) + "d"), "a b")
      << "the last value at the first position";
}

TEST(StateDict, OtherValuesAreUnused) {
  Table table = table_around(
      dict({{"w", kTensor}, {"epoch", number(3)}, {"args", instance("argparse", "Namespace", {{"lr", number(1)}})},
          {"log", list({number(1), number(2)})}, {"name", text("gpt")}}));
  EXPECT_EQ(unused_in(table),
      "epoch (int 3, 0); args (object argparse.Namespace, 0); log (list, 2 items, 0); name (str \"gpt\", 0)");
}

TEST(StateDict, TensorsInUnknownObjectsAreFound) {
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

TEST(StateDict, CyclesAreFollowedOnce) {
  EXPECT_EQ(names("}q\1" + text("w") + kTensor + "s" + text("self") + "h\1s"), "w");
  EXPECT_EQ(names(dict({{"w", kTensor}, {"l", "]q\1h\1a"}})), "w");
}

// Regression: an object that is its own state was followed without a limit.
TEST(StateDict, AnObjectThatIsItsOwnStateIsFollowedOnce) {
  EXPECT_EQ(names(dict({{"w", kTensor}, {"x", named("a", "B") + ")\x81q\1h\1b"}})), "w");
}

TEST(StateDict, TF01_values_repeated_too_often) {
  std::string laughs = list({kTensor}) +
                       "q\1"
                       "0";
  for (int i = 0; i < 40; ++i)
    laughs +=
        "(h\1h\1h\1h\1lq\1"
        "0";
  Error error = error_of_file(torch_zip(laughs + "h\1", kData));
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_THAT(error.what(), testing::StartsWith("f: [TF01] too many paths lead to the same values (listing the tensors "
                                                "takes more than 1,0"));
  EXPECT_EQ(error.hint(), "");
}

TEST(StateDict, TF01_values_nested_too_deep) {
  std::string deep = kTensor;
  for (int i = 0; i < 300; ++i) deep += "\x85";
  EXPECT_THAT(refusal(torch_zip(deep, kData)), HasSubstr("[TF01] values are nested more than 256 deep"));
}

TEST(StateDict, TF02_names_that_are_too_long) {
  EXPECT_EQ(names(dict({{std::string(4096, 'n'), kTensor}})).size(), 4096u);
  EXPECT_THAT(refusal(torch_zip(dict({{std::string(4097, 'n'), kTensor}}), kData)),
      HasSubstr("[TF02] a tensor's name has 4097 bytes (at most 4096)"));
}

TEST(Module, ContainsTheTensorsOfItsStateDict) {
  std::string inner = module({{"weight", kTensor}, {"bias", kNone}}, {{"running_mean", kTensor}});
  Table table = table_around(
      module({{"scale", kTensor}}, {{"seen", kTensor}}, {{"0", inner}, {"gone", kNone}, {"1", module({})}}));
  std::string found;
  for (const Tensor& tensor : table.tensors) found += std::string(tensor.name) + " ";
  EXPECT_EQ(found, "scale seen 0.weight 0.running_mean ");
}

TEST(Module, ModulesThatAFunctionBuilds) {
  Items state{{"training", kTrue}, {"_parameters", ordered({{"weight", kTensor}})}, {"_buffers", "}"},
      {"_modules", "}"}, {"cache", kTensor}};
  std::string meta = named("dnnlib.util", "EasyDict") + ")\x81" +
                     pairs({{"type", text("class")}, {"class_name", text("Generator")}, {"state", dict(state)}}) + "u";
  Table table = table_around(
      dict({{"G_ema", call("torch_utils.persistence", "_reconstruct_persistent_obj", {meta})}, {"D", kNone}}));
  EXPECT_EQ(table.root + ": " + listed(table), "G_ema: weight F32[4]");
  EXPECT_EQ(
      unused_in(table), "cache (tensor that is not a parameter or buffer, so not in the state_dict, 1); D (None, 0)");
  EXPECT_EQ(names(call("torch.fx.graph_module", "reduce_graph_module", {dict(state), text("import torch")})), "weight");
}

TEST(Module, BuffersThatAreNotPersistentAreUnused) {
  std::string hidden = call("__builtin__", "set", {list({text("mask")})});
  Table table = table_around(dict({{"m", module({{"w", kTensor}}, {{"mask", kTensor}, {"kept", kTensor}}, {},
                                             {{"_non_persistent_buffers_set", hidden}})}}));
  EXPECT_EQ(listed(table), "m.w F32[4]; m.kept F32[4]");
  EXPECT_EQ(unused_in(table), "m.mask (buffer that is not persistent, so not in the state_dict, 1)");
}

TEST(Module, TensorsThatAreNotRegisteredAreUnused) {
  Table table = table_around(module({{"w", kTensor}}, {}, {}, {{"cache", kTensor}}));
  EXPECT_EQ(listed(table), "w F32[4]");
  EXPECT_EQ(unused_in(table), "cache (tensor that is not a parameter or buffer, so not in the state_dict, 1)");
}

TEST(Module, ASharedModuleHasBothNames) {
  std::string shared = module({{"w", kTensor}}) + "q\1";
  EXPECT_EQ(names(module({}, {}, {{"encoder", shared}, {"decoder", "h\1"}})), "encoder.w decoder.w");
}

TEST(Module, AReferenceToTheParentIsNotFollowed) {
  std::string child_state =
      dict({{"_parameters", ordered({{"w", kTensor}})}, {"_buffers", "}"}, {"_modules", dict({{"up", "h\1"}})}});
  std::string child = named("my", "Child") + ")\x81" + child_state + "b";
  std::string parent_state =
      dict({{"_parameters", "}"}, {"_buffers", "}"}, {"_modules", dict({{"child", child}})}, {"parent", "h\1"}});
  EXPECT_EQ(names(named("my", "Parent") + ")\x81q\1" + parent_state + "b"), "child.w");
}

}  // namespace
}  // namespace depickle::torch
