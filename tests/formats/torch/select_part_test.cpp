// Rule TF03: the part of a checkpoint that is the model.
#include <gmock/gmock.h>

#include "tests/formats/torch/tables.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;

const std::string kWeights = dict({{"w", kTensor}});
const std::string kNetwork = ordered({{"a.weight", kTensor}}), kNetworkListed = ": a.weight F32[4]";
const std::string kOptimizer = dict({{"state", dict({{"0", dict({{"momentum_buffer", kTensor}})}})},
    {"param_groups", list({dict({{"lr", number(1)}})})}});
std::string checkpoint(const std::string& value) { return torch_zip(value, {{"0", floats({1, 2, 3, 4})}}); }

// "state_dict: w F32[4]"
std::string chosen(const std::string& value, const std::string& root = "") {
  Table table = table_of(checkpoint(value), {.root = root});
  return table.root + ": " + listed(table);
}
std::string refused_part(const std::string& value, const std::string& root = "") {
  return error_of_file(checkpoint(value), {.root = root}).message();
}

TEST(SelectPart, ADictOfTensorsIsTheModel) {
  EXPECT_EQ(chosen(kWeights), ": w F32[4]");
  EXPECT_EQ(chosen(dict({{"model", kTensor}, {"net", kTensor}})), ": model F32[4]; net F32[4]")
      << "a tensor is not a part";
  EXPECT_EQ(chosen(dict({{"rng", kTensor}, {"model", kWeights}})), "model: w F32[4]") << "the other key is a tensor";
}

TEST(SelectPart, TheOnlyKnownKeyIsTheModel) {
  for (auto key : {"state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params",
           "params_ema", "ema", "model_ema", "generator", "student"})
    EXPECT_EQ(
        chosen(dict({{key, kWeights}, {"optimizer", dict({{"state", kWeights}})}})), std::string(key) + ": w F32[4]");
  EXPECT_EQ(chosen(dict({{"checkpoint", dict({{"model", kWeights}})}})), ": checkpoint.model.w F32[4]")
      << "an unknown key is not searched";
}

TEST(SelectPart, SearchesInsideTheModelAgain) {
  EXPECT_EQ(chosen(dict({{"state_dict", dict({{"model", dict({{"module", kWeights}})}})}})),
      "state_dict.model.module: w F32[4]");
}

TEST(SelectPart, AveragesAreTheModelOnlyIfThereIsNoOther) {
  EXPECT_EQ(chosen(dict({{"ema", kWeights}, {"model", kWeights}})), "model: w F32[4]");
  EXPECT_EQ(chosen(dict({{"ema", kWeights}, {"model", kNone}})), "ema: w F32[4]") << "as in YOLO checkpoints";
  EXPECT_EQ(chosen(dict({{"ema", kWeights}, {"model", dict({{"lr", number(1)}})}})), "ema: w F32[4]")
      << "a part without tensors is not the model";
}

TEST(SelectPart, OtherPartsAreUnused) {
  Table table =
      table_of(checkpoint(dict({{"epoch", number(3)}, {"state_dict", dict({{"w", kTensor}, {"n", number(1)}})},
          {"optimizer", dict({{"state", dict({{"0", kTensor}})}})}})));
  EXPECT_EQ(unused_in(table), "n (int 1, 0); epoch (int 3, 0); optimizer (dict, 1 item, 1)");
}

TEST(SelectPart, TF03_several_possible_models) {
  std::string two = dict({{"model", kWeights}, {"net", dict({{"a", kTensor}, {"b", kTensor}})}});
  Error error = error_of_file(checkpoint(two));
  EXPECT_STREQ(error.what(),
      "f: [TF03] several parts could be the model: \"model\" (1 tensor, 16 B), \"net\" (2 tensors, 32 B)");
  EXPECT_EQ(error.reason(), Reason::ambiguous_root);
  EXPECT_EQ(chosen(two, "net"), "net: a F32[4]; b F32[4]");
  EXPECT_EQ(chosen(two, "."), ": model.w F32[4]; net.a F32[4]; net.b F32[4]");
  EXPECT_THAT(refused_part(dict({{"generator", kWeights}, {"ema", kWeights}})),
      HasSubstr("\"ema\" (1 tensor, 16 B), \"generator\" (1 tensor, 16 B)"));
}

TEST(SelectPart, KnownKeysOfProjects) {
  for (auto key : {"network_weights", "model_state", "weight", "g_ema", "G_ema", "net_g", "policy"})
    EXPECT_EQ(chosen(dict({{key, kNetwork}, {"optimizer", kOptimizer}, {"epoch", number(1)}})), key + kNetworkListed);
  EXPECT_EQ(chosen(dict({{"params", kWeights}, {"params_ema", kNetwork}})), "params_ema" + kNetworkListed)
      << "as BasicSR";
  EXPECT_EQ(chosen(dict({{"g", kNetwork}, {"d", kNetwork}, {"g_ema", kNetwork}, {"g_optim", kOptimizer}})),
      "g_ema" + kNetworkListed);
  EXPECT_EQ(
      chosen(dict({{"policy", kNetwork}, {"value", kNetwork}, {"optimizer", kOptimizer}})), "policy" + kNetworkListed);
  EXPECT_EQ(chosen(instance("fastai.learner", "Learner",
                {{"dls", kNone}, {"model", module({{"weight", kTensor}})}, {"lr", number(1)}})),
      "model: weight F32[4]");
}

TEST(SelectPart, AKnownKeyInsideTheModelIsOneOfItsModules) {
  std::string tree = dict({{"net", dict({{"kernel", kTensor}})}, {"head", dict({{"bias", kTensor}})}});
  EXPECT_EQ(chosen(dict({{"params", tree}})), "params: net.kernel F32[4]; head.bias F32[4]");
}

TEST(SelectPart, TheOnlyNetworkOfACheckpointIsTheModel) {
  for (const std::string& other : {kOptimizer, number(3), text("1.5"), list({number(1)}), instance("a", "Config", {})})
    EXPECT_EQ(chosen(dict({{"unet", kNetwork}, {"other", other}, {"steps", kTensor}})), "unet" + kNetworkListed);
  EXPECT_EQ(chosen(dict({{"unet", dict({{"w", kTensor}})}, {"epoch", number(1)}})), ": unet.w F32[4]")
      << "w is not a name of a parameter";
  EXPECT_EQ(
      chosen(dict({{"unet", kNetwork}, {"pos", kTensor}, {"epoch", number(1)}})), ": unet.a.weight F32[4]; pos F32[4]")
      << "the tensor beside it could be a parameter";
  EXPECT_EQ(chosen(tuple({kNetwork, kOptimizer, number(3)})), "0" + kNetworkListed);
  EXPECT_EQ(
      chosen(dict({{"run", dict({{"unet", kNetwork}, {"optimizer", kOptimizer}})}})), "run.unet" + kNetworkListed);
}

TEST(SelectPart, ATreeOfModulesIsTheWholeFile) {
  std::string tree = dict({{"encoder", kNetwork}, {"decoder", kNetwork}});
  EXPECT_EQ(chosen(tree), ": encoder.a.weight F32[4]; decoder.a.weight F32[4]");
  EXPECT_EQ(chosen(dict({{"model", dict({{"encoder", kNetwork}, {"decoder", kNetwork}, {"version", number(1)}})}})),
      "model: encoder.a.weight F32[4]; decoder.a.weight F32[4]");
  EXPECT_EQ(chosen(dict({{"dense", dict({{"kernel", kTensor}})}, {"out", dict({{"kernel", kTensor}})},
                {"version", number(1)}})),
      ": dense.kernel F32[4]; out.kernel F32[4]");
}

TEST(SelectPart, TF03_networks_beside_each_other) {
  for (const auto& [one, other] : {std::pair("unet0", "unet1"), {"online_network", "target_network"},
           {"student", "teacher"}, {"encoder", "decoder"}, {"generator", "discriminator"}}) {
    const std::string value = dict({{one, kNetwork}, {other, kNetwork}, {"opt", kOptimizer}, {"steps", kTensor}});
    Error error = error_of_file(checkpoint(value));
    EXPECT_EQ(error.reason(), Reason::ambiguous_root) << error.what();
    EXPECT_EQ(chosen(value, other), other + kNetworkListed);
  }
  EXPECT_THAT(refused_part(dict({{"unet0", kNetwork}, {"unet1", kNetwork}, {"version", text("1.5")}})),
      HasSubstr("several parts could be the model: \"unet0\" (1 tensor, 16 B), \"unet1\" (1 tensor, 16 B)"));
}

TEST(SelectPart, TF03_lists_at_most_twenty_parts) {
  Items items{{"optimizer", kOptimizer}};
  for (int i = 0; i < 30; ++i) items.emplace_back("net" + std::to_string(i), kNetwork);
  EXPECT_THAT(refused_part(dict(items)), testing::EndsWith("\"net19\" (1 tensor, 16 B) and 10 more"));
}

TEST(SelectPart, PathsContainKeysAttributesAndItems) {
  std::string value =
      dict({{"a.b", dict({{"c", kWeights}})}, {"a", dict({{"x", kWeights}})}, {"list", list({number(1), kWeights})},
          {"object", instance("my", "Thing", {{"part", kWeights}})}, {"one", kTensor}});
  EXPECT_EQ(chosen(value, "a.b.c"), "a.b.c: w F32[4]") << "keys can contain dots";
  EXPECT_EQ(chosen(value, "a.x"), "a.x: w F32[4]");
  EXPECT_EQ(chosen(value, "list.1"), "list.1: w F32[4]");
  EXPECT_EQ(chosen(value, "object.part"), "object.part: w F32[4]");
  EXPECT_EQ(chosen(value, "one"), "one: one F32[4]") << "a single tensor has the name of its key";
}

TEST(SelectPart, TF03_a_path_that_does_not_exist) {
  Error error = error_of_file(checkpoint(dict({{"model", kWeights}, {"epoch", number(3)}})), {.root = "modell"});
  EXPECT_STREQ(error.what(), "f: [TF03] the checkpoint contains no part \"modell\"");
  EXPECT_EQ(error.hint(), "its parts: \"model\" (dict, 1 item), \"epoch\" (int 3)");
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_EQ(error_of_file(checkpoint(dict({{"model", kWeights}})), {.root = "model.w.x"}).code(), Code::not_found);
}

}  // namespace
}  // namespace depickle::torch
