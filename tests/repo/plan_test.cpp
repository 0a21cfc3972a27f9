#include "depickle/repo/plan.h"

#include <gmock/gmock.h>

#include "tests/repo/repository.h"

namespace depickle::repo {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::vector<std::string> described(const std::vector<convert::SkippedFile>& files) {
  std::vector<std::string> lines;
  for (const convert::SkippedFile& left : files) lines.push_back(left.file.string() + ": " + left.reason);
  return lines;
}

const std::string kShard1 = "pytorch_model-00001-of-00002.bin", kShard2 = "pytorch_model-00002-of-00002.bin";
const std::string kNew1 = "model-00001-of-00002.safetensors", kNew2 = "model-00002-of-00002.safetensors";
const PlanReaders kNoIndex = indexes({});

TEST(RepoPlan, Converts_the_model_but_not_training_state) {
  const Plan made =
      plan(files_named({"config.json", "pytorch_model.bin", "optimizer.pt", "training_args.bin", "runs/events.pt"}),
          kNoIndex);
  EXPECT_THAT(made.new_files(), ElementsAre("model.safetensors"));
  EXPECT_THAT(made.needed_files(), ElementsAre("pytorch_model.bin"));
  EXPECT_EQ(made.source_bytes, 10u);
  EXPECT_THAT(described(made.skipped),
      ElementsAre("optimizer.pt: optimizer state", "runs/events.pt: not a name that model libraries load",
          "training_args.bin: training arguments"));
}

TEST(RepoPlan, Converts_shards_with_their_index_and_variants_to_standard_names) {
  const Plan made = plan(files_named({kBinIndex, kShard1, kShard2, "pytorch_model.fp16.bin"}),
      indexes({{kBinIndex, two_shards("pytorch_model", ".bin")}}));
  EXPECT_THAT(made.new_files(), ElementsAre(kNew1, kNew2, "model.fp16.safetensors", kNewIndex));
}

TEST(RepoPlan, Converts_every_component_and_variant_of_a_pipeline_but_no_other_checkpoint) {
  const Plan made = plan(files_named({"model_index.json", "v1-5-pruned.ckpt", "unet/diffusion_pytorch_model.bin",
                             "unet/diffusion_pytorch_model.fp16.bin", "vae/diffusion_pytorch_model.bin",
                             "text_encoder/pytorch_model.bin", "safety_checker/pytorch_model.bin"}),
      kNoIndex);
  EXPECT_THAT(
      made.new_files(), ElementsAre("safety_checker/model.safetensors", "text_encoder/model.safetensors",
                            "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.safetensors",
                            "vae/diffusion_pytorch_model.safetensors"));
  EXPECT_THAT(described(made.skipped), ElementsAre("v1-5-pruned.ckpt: not a name that model libraries load"));
}

TEST(RepoPlan, Converts_the_rest_of_a_partly_converted_pipeline) {
  const Plan made = plan(files_named({"model_index.json", "unet/diffusion_pytorch_model.bin",
                             "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.bin"}),
      kNoIndex);
  EXPECT_THAT(made.new_files(), ElementsAre("vae/diffusion_pytorch_model.safetensors"));
  EXPECT_THAT(described(made.up_to_date),
      ElementsAre("unet/diffusion_pytorch_model.bin: diffusion_pytorch_model.safetensors already exists"));
}

TEST(RepoPlan, Converts_the_missing_shards_and_compares_the_existing_ones) {
  const Plan made = plan(
      files_named({kBinIndex, kShard1, kShard2, kNew1}), indexes({{kBinIndex, two_shards("pytorch_model", ".bin")}}));
  EXPECT_THAT(made.new_files(), ElementsAre(kNew2, kNewIndex));
  EXPECT_THAT(made.present, ElementsAre(kNew1));
  EXPECT_THAT(made.needed_files(), UnorderedElementsAre(kNew1, kShard1, kShard2, kBinIndex));
}

TEST(RepoPlan, Ignores_an_index_whose_shards_do_not_exist) {
  const auto read =
      indexes({{kBinIndex, two_shards("pytorch_model", ".bin")}, {kNewIndex, two_shards("model", ".safetensors")}});
  EXPECT_THAT(plan(files_named({kBinIndex, kShard1, kShard2, kNewIndex, kNew1}), read).new_files(),
      ElementsAre(kNew2, kNewIndex));
  EXPECT_TRUE(plan(files_named({kBinIndex, kShard1, kShard2, kNewIndex, kNew1, kNew2}), read).nothing_to_do());
}

TEST(RepoPlan, Has_nothing_to_do_if_safetensors_exist_in_the_other_layout) {
  const auto read =
      indexes({{kBinIndex, two_shards("pytorch_model", ".bin")}, {kNewIndex, two_shards("model", ".safetensors")}});
  EXPECT_TRUE(plan(files_named({"pytorch_model.bin", kNewIndex, kNew1, kNew2}), read).nothing_to_do());
  EXPECT_TRUE(plan(files_named({kBinIndex, kShard1, kShard2, "model.safetensors"}), read).nothing_to_do());
  EXPECT_FALSE(plan(files_named({"pytorch_model.fp16.bin", "model.safetensors"}), read).nothing_to_do());
}

TEST(RepoPlan, Converts_other_names_only_if_no_standard_name_exists) {
  EXPECT_THAT(plan(files_named({"best.pt", "last.pth"}), kNoIndex).new_files(),
      ElementsAre("best.safetensors", "last.safetensors"));
  EXPECT_THAT(
      plan(files_named({"best.pt", "pytorch_model.bin", "model.safetensors"}), kNoIndex).new_files(), IsEmpty());
}

TEST(RepoPlan, Reports_missing_shards_and_invalid_indexes) {
  const Plan missing =
      plan(files_named({kBinIndex, kShard1}), indexes({{kBinIndex, two_shards("pytorch_model", ".bin")}}));
  ASSERT_EQ(missing.failed.size(), 1u);
  EXPECT_STREQ(missing.failed[0].error.what(),
      "pytorch_model.bin.index.json: names the shard \"pytorch_model-00002-of-00002.bin\", which does not exist");
  EXPECT_EQ(plan(files_named({kBinIndex, kShard1}), indexes({{kBinIndex, "[]"}})).failed.size(), 1u);
  EXPECT_EQ(plan(files_named({kShard1}), kNoIndex).failed.size(), 1u);
}

TEST(RepoPlan, Converts_the_complete_series_of_shards_whatever_the_index_names) {
  const std::string other = R"({"metadata": {}, "weight_map": {"a": "pytorch_model-00001-of-00004.bin"}})";
  for (const std::string& index : {std::string("[]"), other}) {
    const Plan made = plan(files_named({kBinIndex, kShard1, kShard2}), indexes({{kBinIndex, index}}));
    EXPECT_THAT(made.new_files(), ElementsAre(kNew1, kNew2, kNewIndex)) << index;
    EXPECT_EQ(made.models.front().notes.size(), 1u) << index;
  }
  EXPECT_THAT(plan(files_named({kShard1, kShard2}), kNoIndex).new_files(), ElementsAre(kNew1, kNew2, kNewIndex));
  const std::string first_only = R"({"metadata": {}, "weight_map": {"a": "pytorch_model-00001-of-00002.bin"}})";
  EXPECT_THAT(plan(files_named({kBinIndex, kShard1, kShard2}), indexes({{kBinIndex, first_only}})).new_files(),
      ElementsAre(kNew1, kNew2, kNewIndex));
}

TEST(RepoPlan, Skips_other_checkpoints_beside_and_below_a_model_that_libraries_load) {
  for (const char* stray : {"model.pt", "model.ckpt", "model.bin", "pytorch_model.pth", "runs/best.pt"}) {
    const Plan made = plan(
        files_named({stray, kBinIndex, kShard1, kShard2}), indexes({{kBinIndex, two_shards("pytorch_model", ".bin")}}));
    EXPECT_THAT(made.new_files(), ElementsAre(kNew1, kNew2, kNewIndex)) << stray;
    EXPECT_THAT(described(made.skipped), ElementsAre(std::string(stray) + ": not a name that model libraries load"));
  }
  EXPECT_THAT(plan(files_named({"bert/pytorch_model.bin", "yolo/best.pt"}), kNoIndex).new_files(),
      ElementsAre("bert/model.safetensors", "yolo/best.safetensors"));
}

TEST(RepoPlan, Finds_checkpoints_with_other_extensions_by_their_first_bytes) {
  auto read = kNoIndex;
  read.kind_of = [](const std::string& path) {
    return path.ends_with(".md") ? detect::FileKind::unknown : detect::FileKind::zip;
  };
  EXPECT_THAT(plan(files_named({"README.md", "net/weights", "run.jit"}), read).new_files(),
      ElementsAre("net/weights.safetensors", "run.safetensors"));
  EXPECT_THAT(described(plan(files_named({"run.jit", "best.pt"}), read).skipped),
      ElementsAre("run.jit: a zip archive whose name is not that of weights"));
  EXPECT_THAT(described(plan(files_named({"model.safetensors"}), read).skipped),
      ElementsAre("model.safetensors: the source is a zip archive, not a safetensors file"));
}

TEST(RepoPlan, Throws_transient_errors_instead_of_reporting_an_invalid_index) {
  auto fails = [](const std::string&) -> safetensors::Index { throw Error(Code::network, "", "lost"); };
  EXPECT_THROW(plan(files_named({kBinIndex, kShard1, kShard2}), {.read_index = fails}), Error);
}

TEST(RepoPlan, Converts_neither_of_two_pickles_with_the_same_target_and_names_both) {
  const Plan made = plan(files_named({"x.bin", "x.pt", "y.pt"}), kNoIndex);
  EXPECT_THAT(made.new_files(), ElementsAre("y.safetensors"));
  ASSERT_EQ(made.failed.size(), 2u);
  EXPECT_STREQ(made.failed[0].error.what(), "x.bin: its target x.safetensors is also the target of x.pt");
  EXPECT_STREQ(made.failed[1].error.what(), "x.pt: its target x.safetensors is also the target of x.bin");
}

}  // namespace
}  // namespace depickle::repo
