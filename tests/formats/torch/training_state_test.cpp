// Optimizer state and metrics are never part of a model.
#include <gmock/gmock.h>

#include "tests/formats/torch/tables.h"
#include "tests/scaling.h"

namespace depickle::torch {
namespace {

using namespace made;

const std::string kScalar = tensor(storage("FloatStorage", "0", 4), {}, {});
const std::string kGroups = list({dict({{"lr", number(1)}})});
const std::string kSlots = dict({{"step", kScalar}, {"exp_avg", kTensor}, {"exp_avg_sq", kTensor}});
const std::string kAdam = dict({{"state", dict({{"0", kSlots}})}, {"param_groups", kGroups}});

Table table_with_root(const std::string& value, const std::string& root = "") {
  return table_of(torch_zip(value, {{"0", floats({1, 2, 3, 4})}}), {.root = root});
}
// "w F32[4] | optimizer (optimizer state, 3)"
std::string split(const std::string& value, const std::string& root = "") {
  Table table = table_with_root(value, root);
  return listed(table) + " | " + unused_in(table);
}

TEST(TrainingState, OptimizerStateIsUnusedAtAnyDepth) {
  EXPECT_EQ(split(dict({{"w", kTensor}, {"anything", kAdam}})), "w F32[4] | anything (optimizer state, 3)");
  EXPECT_EQ(split(dict({{"w", kTensor}, {"a", dict({{"b", ordered({{"x", kTensor}, {"c", kAdam}})}})}})),
      "w F32[4]; a.b.x F32[4] | a.b.c (optimizer state, 3)");
  EXPECT_EQ(split(dict({{"w", kTensor}, {"all", list({kAdam, kAdam})}, {"each", dict({{"g", kAdam}, {"n", kNone}})}})),
      "w F32[4] | all (optimizer state, 6); each (optimizer state, 3)");
  EXPECT_EQ(split(dict({{"w", kTensor}, {"empty", dict({{"state", "}"}, {"param_groups", "]"}})}})),
      "w F32[4] | empty (optimizer state, 0)");
}

TEST(TrainingState, OptimizersAreObjectsWithTheAttributesOfTheirStateDict) {
  const std::string state =
      call("collections", "defaultdict", {named("builtins", "dict")}) + "(" + number(0) + kSlots + "u";
  EXPECT_EQ(split(dict({{"w", kTensor},
                {"optimizer", instance("torch.optim.adam", "Adam", {{"state", state}, {"param_groups", kGroups}})}})),
      "w F32[4] | optimizer (optimizer state, 3)");
}

TEST(TrainingState, OtherMappingsWithTheseKeysAreNotOptimizerState) {
  EXPECT_EQ(split(dict({{"x", dict({{"state", kTensor}, {"param_groups", kGroups}})}})),
      "x.state F32[4] | x.param_groups (list, 1 item, 0)");
  EXPECT_EQ(split(dict({{"x", dict({{"state", dict({{"w", kTensor}})}, {"param_groups", number(1)}})}})),
      "x.state.w F32[4] | x.param_groups (int 1, 0)");
}

TEST(TrainingState, SlotsOfParameters) {
  EXPECT_EQ(split(dict({{"w", kTensor}, {"moments", dict({{"a.weight", kSlots}, {"a.bias", kSlots}})}})),
      "w F32[4] | moments (optimizer state, 6)");
  EXPECT_EQ(split(dict({{"x", dict({{"step", kTensor}, {"sum", kTensor}})}})), "x.step F32[4]; x.sum F32[4] | ");
  EXPECT_EQ(split(dict({{"x", dict({{"momentum_buffer", kTensor}, {"w", kTensor}})}})),
      "x.momentum_buffer F32[4]; x.w F32[4] | ");
}

TEST(TrainingState, FlatKeys) {
  EXPECT_EQ(split(dict({{"model.w", kTensor}, {"optimizer_state.state.0.anything", kTensor},
                {"optimizer_state.param_groups.0.lr", number(1)}, {"step", number(5)}})),
      "model.w F32[4] | step (int 5, 0); optimizer_state (optimizer state, 1)");
  EXPECT_EQ(split(dict({{"app", dict({{"m.state.w", kTensor}, {"optim.state.m.state.w.exp_avg", kTensor}})}})),
      "app.m.state.w F32[4] | app.optim (optimizer state, 1)");
  EXPECT_EQ(split(dict({{"w", kTensor}, {"o", dict({{"state.0.x", kTensor}, {"param_groups.0.lr", number(1)}})}})),
      "w F32[4] | o (optimizer state, 1)");
  EXPECT_EQ(split(dict({{"a.state.w", kTensor}, {"b.param_groups.w", kTensor}})),
      "a.state.w F32[4]; b.param_groups.w F32[4] | ")
      << "two different paths";
}

TEST(TrainingState, Metrics) {
  EXPECT_EQ(
      split(dict({{"w", kTensor}, {"log", dict({{"val_loss", kScalar}, {"epoch", number(1)}, {"lr", kScalar}})}})),
      "w F32[4] | log (metrics, 2)");
  EXPECT_EQ(split(dict({{"x", dict({{"val_loss", kScalar}, {"temperature", kScalar}})}})),
      "x.val_loss F32[]; x.temperature F32[] | ");
  EXPECT_EQ(split(dict({{"x", dict({{"loss", kTensor}})}})), "x.loss F32[4] | ");
}

TEST(TrainingState, AFileWithNothingElseHasNoTensors) {
  EXPECT_EQ(split(kAdam), " | . (optimizer state, 3)");
  EXPECT_EQ(split(dict({{"loss", kScalar}})), " | . (metrics, 1)");
  EXPECT_EQ(split(dict({{"state.0.x", kTensor}, {"param_groups.0.lr", number(1)}})), " | . (optimizer state, 1)");
  EXPECT_EQ(
      split(dict({{"optimizer", kAdam}, {"epoch", number(1)}})), " | optimizer (optimizer state, 3); epoch (int 1, 0)");
}

TEST(TrainingState, APathGivesItsTensors) {
  const std::string value =
      dict({{"model", dict({{"w", kTensor}})}, {"run", dict({{"net", kTensor}, {"opt", kAdam}})}});
  EXPECT_EQ(listed(table_with_root(value, "run.opt")),
      "state.0.step F32[]; state.0.exp_avg F32[4]; state.0.exp_avg_sq F32[4]");
  EXPECT_EQ(listed(table_with_root(value, "run.opt.state.0")), "step F32[]; exp_avg F32[4]; exp_avg_sq F32[4]");
  EXPECT_EQ(listed(table_with_root(value, "run.opt.state.0.exp_avg")), "exp_avg F32[4]");
  EXPECT_EQ(listed(table_with_root(value, "run")), "net F32[4]") << "the path is not that of the optimizer state";
  EXPECT_EQ(table_with_root(value, ".").tensors.size(), 5u);
}

TEST(TrainingState, ManyOptimizersThatShareAStateTakeLinearTime) {
  expect_linear(20'000, [](size_t size) {
    std::string slots, optimizers;
    for (size_t i = 0; i < size; ++i) slots += number(static_cast<int64_t>(i)) + "}" + text("exp_avg") + kTensor + "s";
    std::string state = "}(" + slots + "uq\1";
    for (size_t i = 0; i < size / 100; ++i)
      optimizers += "}(" + text("state") + (i == 0 ? state : "h\1") + text("param_groups") + "]u";
    Table table = table_with_root(dict({{"w", kTensor}, {"all", "(" + optimizers + "l"}}));
    EXPECT_EQ(listed(table), "w F32[4]");
  });
}

TEST(TrainingState, ALongFlatKeyOfManyDictsTakesLinearTime) {
  expect_linear(20'000, [](size_t size) {
    std::string key = "P";
    while (key.size() < 4000) key += ".state.param_groups";
    std::string dicts = "}" + text(key) + "q\1" + kTensor + "s";
    for (size_t i = 0; i < size; ++i) dicts += "}h\1Ns";
    EXPECT_EQ(error_of_file(torch_zip("(" + dicts + "l", {{"0", floats({1, 2, 3, 4})}})).rule(), "TF01");
  });
}

}  // namespace
}  // namespace depickle::torch
