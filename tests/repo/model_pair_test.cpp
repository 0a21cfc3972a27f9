#include "depickle/repo/model_pair.h"

#include <gmock/gmock.h>

#include "tests/repo/repository.h"

namespace depickle::repo {
namespace {

using Names = std::vector<std::string>;

// Returns "model.safetensors = pytorch_model.bin" for each pair.
std::vector<std::string> pairs(
    const Names& before, const Names& after, const std::map<std::string, std::string>& texts = {}) {
  std::vector<std::string> lines;
  const std::set<std::string> old_names(before.begin(), before.end()), new_names(after.begin(), after.end());
  const PlanReaders read = indexes(texts);
  weights::Indexes old_indexes(old_names, read.read_index), new_indexes(new_names, read.read_index);
  for (const ModelPair& pair : pair_models(
           tree_diff(files_named(before), files_named(after)), {old_names, old_indexes}, {new_names, new_indexes}))
    lines.push_back(pair.safetensors.entry + " = " + pair.pickle.entry + (pair.pickle.problem.empty() ? "" : " ?"));
  return lines;
}

TEST(PairModels, Finds_the_pickle_whose_target_has_the_name) {
  EXPECT_THAT(pairs({"pytorch_model.bin", "unet/diffusion_pytorch_model.bin"},
                  {"model.safetensors", "unet/diffusion_pytorch_model.safetensors"}),
      testing::ElementsAre("model.safetensors = pytorch_model.bin",
          "unet/diffusion_pytorch_model.safetensors = unet/diffusion_pytorch_model.bin"));
}

TEST(PairModels, Pairs_a_single_file_with_shards_and_shards_with_a_single_file) {
  const std::map<std::string, std::string> texts = {
      {kBinIndex, two_shards("pytorch_model", ".bin")}, {kNewIndex, two_shards("model", ".safetensors")}};
  const Names bins = {kBinIndex, "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"};
  const Names shards = {kNewIndex, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  EXPECT_THAT(pairs(bins, {"model.safetensors"}, texts), testing::ElementsAre("model.safetensors = " + kBinIndex));
  EXPECT_THAT(pairs({"pytorch_model.bin"}, shards, texts), testing::ElementsAre(kNewIndex + " = pytorch_model.bin"));
}

TEST(PairModels, Ignores_unchanged_models) {
  EXPECT_THAT(pairs({"a.safetensors", "a.bin"}, {"a.safetensors", "a.bin", "b.safetensors"}),
      testing::ElementsAre("b.safetensors = "));
}

TEST(PairModels, Treats_an_invalid_index_as_a_model_without_shards) {
  EXPECT_THAT(pairs({"pytorch_model.bin"}, {kNewIndex}, {{kNewIndex, "[]"}}),
      testing::ElementsAre(kNewIndex + " = pytorch_model.bin"));
}

TEST(PairModels, Compares_both_layouts_of_a_model_and_prefers_the_pickle_that_libraries_load) {
  const std::map<std::string, std::string> texts = {
      {kBinIndex, two_shards("pytorch_model", ".bin")}, {kNewIndex, two_shards("model", ".safetensors")}};
  const Names bins = {kBinIndex, "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "model.pt"};
  const Names added = {
      kNewIndex, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors"};
  EXPECT_THAT(pairs(bins, added, texts),
      testing::ElementsAre("model.safetensors = " + kBinIndex, kNewIndex + " = " + kBinIndex));
}

TEST(PairModels, Ignores_an_unchanged_index_whose_shards_do_not_exist) {
  EXPECT_THAT(pairs({"pytorch_model.bin", kNewIndex}, {"pytorch_model.bin", kNewIndex, "model.safetensors"},
                  {{kNewIndex, two_shards("model", ".safetensors")}}),
      testing::ElementsAre("model.safetensors = pytorch_model.bin"));
}

TEST(PairModels, Has_a_problem_if_several_pickles_could_be_the_source) {
  EXPECT_THAT(pairs({"x.pt", "x.pth"}, {"x.safetensors"}), testing::ElementsAre("x.safetensors = x.pt ?"));
}

}  // namespace
}  // namespace depickle::repo
