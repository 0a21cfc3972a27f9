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
  const auto old_files = files_named(before), new_files = files_named(after);
  for (const ModelPair& pair :
      pair_models(tree_diff(old_files, new_files), old_files, indexes(texts), new_files, indexes(texts)))
    lines.push_back(pair.safetensors.entry + " = " + pair.pickle.entry);
  return lines;
}

TEST(OtherLayout, Maps_a_single_file_to_its_index_and_back) {
  for (auto [single, index] : {std::pair("model.safetensors", "model.safetensors.index.json"),
           std::pair("unet/diffusion_pytorch_model.fp16.safetensors",
               "unet/diffusion_pytorch_model.safetensors.index.fp16.json")}) {
    EXPECT_EQ(other_layout(single), index);
    EXPECT_EQ(other_layout(index), single);
  }
  EXPECT_EQ(other_layout("pytorch_model.bin"), "");
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

}  // namespace
}  // namespace depickle::repo
