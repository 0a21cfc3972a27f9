#include "depickle/weights/pick.h"

#include <gmock/gmock.h>

#include "depickle/base/error.h"

namespace depickle::weights {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Names = std::vector<std::string>;

std::string picked(const Names& names, const PickOptions& options = {}) {
  return pick(names, std::nullopt, options).models.front().path;
}

std::vector<std::string> picked_of_pipeline(const Names& names, const PickOptions& options = {}) {
  const char* index =
      R"({"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"], 
    "text_encoder": ["transformers", "CLIPTextModel"],
    "scheduler": ["diffusers", "PNDMScheduler"], "safety_checker": [null, null], "requires_safety_checker": true})";
  std::vector<std::string> paths;
  for (const ModelFile& model : pick(names, index, options).models) paths.push_back(model.component + " " + model.path);
  return paths;
}

Code refusal_code(const Names& names, const PickOptions& options = {}) {
  try {
    pick(names, std::nullopt, options);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::io;
}

TEST(Pick, Prefers_safetensors_then_its_index_then_the_pickle_then_its_index) {
  EXPECT_EQ(picked({"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"}), "model.safetensors");
  EXPECT_EQ(picked({"model.safetensors.index.json", "pytorch_model.bin"}), "model.safetensors.index.json");
  EXPECT_EQ(picked({"pytorch_model.bin", "pytorch_model.bin.index.json", "config.json"}), "pytorch_model.bin");
  EXPECT_EQ(picked({"pytorch_model.bin.index.json", "config.json"}), "pytorch_model.bin.index.json");
}

TEST(Pick, Selects_only_names_with_the_variant_before_the_last_extension) {
  const Names names = {"model.safetensors", "model.safetensors.index.fp16.json", "pytorch_model.fp16.bin"};
  EXPECT_EQ(picked(names, {.variant = "fp16"}), "model.safetensors.index.fp16.json");
  EXPECT_EQ(refusal_code(names, {.variant = "bf16"}), Code::not_found);
}

TEST(Pick, Selects_the_model_of_a_subfolder) {
  EXPECT_EQ(picked({"model.safetensors", "unet/diffusion_pytorch_model.bin"}, {.subfolder = "unet"}),
      "unet/diffusion_pytorch_model.bin");
  EXPECT_EQ(picked({"unet/diffusion_pytorch_model.safetensors"}, {.subfolder = "unet/"}),
      "unet/diffusion_pytorch_model.safetensors");
}

TEST(Pick, Selects_the_only_weights_file_whatever_its_name) {
  EXPECT_EQ(picked({"best.pt", "optimizer.pt", "config.json", "sub/other.pt"}), "best.pt");
  EXPECT_EQ(refusal_code({"a.pt", "b.pt"}), Code::not_found);
  EXPECT_EQ(refusal_code({"config.json"}), Code::not_found);
}

TEST(Pick, Names_the_pickle_that_is_not_allowed) {
  try {
    pick({"pytorch_model.bin"}, std::nullopt, {.allow_pickle = false});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unsafe);
    EXPECT_STREQ(error.what(), "pytorch_model.bin: is a pickle, and the repository has no safetensors file for it");
  }
}

TEST(Pick, Selects_safetensors_of_a_pipeline_only_if_every_component_has_them) {
  EXPECT_THAT(picked_of_pipeline({"unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin",
                  "text_encoder/model.safetensors"}),
      ElementsAre("text_encoder text_encoder/model.safetensors", "unet unet/diffusion_pytorch_model.safetensors"));
  EXPECT_THAT(picked_of_pipeline({"unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin",
                  "text_encoder/pytorch_model.bin"}),
      ElementsAre("text_encoder text_encoder/pytorch_model.bin", "unet unet/diffusion_pytorch_model.bin"));
}

TEST(Pick, Selects_the_variant_of_each_component_and_notes_components_without_it) {
  const Names names = {"unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.safetensors",
      "text_encoder/model.safetensors"};
  EXPECT_THAT(picked_of_pipeline(names, {.variant = "fp16"}),
      ElementsAre("text_encoder text_encoder/model.safetensors", "unet unet/diffusion_pytorch_model.fp16.safetensors"));
  const Choice choice =
      pick(names, R"({"unet": ["diffusers", "B"], "text_encoder": ["transformers", "B"]})", {.variant = "fp16"});
  EXPECT_THAT(choice.notes, ElementsAre("text_encoder has no variant \"fp16\""));
  EXPECT_THROW(pick(names, R"({"unet": ["diffusers", "B"]})", {.variant = "bf16"}), Error);
}

TEST(Pick, Opens_an_index_of_diffusers_before_the_single_file_but_only_of_safetensors) {
  const std::string stem = "unet/diffusion_pytorch_model";
  EXPECT_EQ(picked({stem + ".safetensors", stem + ".safetensors.index.json"}, {.subfolder = "unet"}),
      stem + ".safetensors.index.json");
  EXPECT_EQ(picked({stem + ".bin", stem + ".bin.index.json"}, {.subfolder = "unet"}), stem + ".bin");
  EXPECT_EQ(picked({stem + ".safetensors.fp16.index.json", stem + ".fp16.safetensors"},
                {.variant = "fp16", .subfolder = "unet"}),
      stem + ".safetensors.fp16.index.json");
}

TEST(Pick, Asks_the_config_which_library_loads_the_model) {
  const Names names = {"config.json", "model.safetensors", "diffusion_pytorch_model.bin", "other.safetensors"};
  auto with = [](const char* config) {
    return PickOptions{.read_text = [config](const std::string&) { return std::string(config); }};
  };
  EXPECT_EQ(picked(names, with(R"({"_class_name": "UNet2DModel"})")), "diffusion_pytorch_model.bin");
  EXPECT_EQ(picked(names, with(R"({"model_type": "bert"})")), "model.safetensors");
  EXPECT_EQ(picked(names, with(R"({"transformers_weights": "other.safetensors"})")), "other.safetensors");
  EXPECT_EQ(refusal_code(names, with(R"({"transformers_weights": "x.safetensors"})")), Code::not_found);
  EXPECT_EQ(refusal_code(names, with(R"({"transformers_weights": "pytorch_model.bin"})")), Code::malformed);
  EXPECT_EQ(picked(names, with("{")), "model.safetensors");
}

TEST(Pick, Refuses_a_pipeline_with_a_component_that_diffusers_cannot_load) {
  const Names names = {"unet/diffusion_pytorch_model.safetensors", "text_encoder/config.json"};
  EXPECT_THROW(picked_of_pipeline(names), Error);
  EXPECT_THAT(picked_of_pipeline({"unet/diffusion_pytorch_model.safetensors", "text_encoder/merges.txt"}),
      ElementsAre("unet unet/diffusion_pytorch_model.safetensors"));
}

TEST(Pick, Counts_null_components_when_it_chooses_the_format_of_a_repository) {
  Names names = {"unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin",
      "safety_checker/pytorch_model.bin"};
  EXPECT_THAT(picked_of_pipeline(names), ElementsAre("unet unet/diffusion_pytorch_model.bin"));
  EXPECT_THAT(
      picked_of_pipeline(names, {.is_local = true}), ElementsAre("unet unet/diffusion_pytorch_model.safetensors"));
}

TEST(Pick, Skips_components_that_the_model_index_does_not_name_or_names_as_null) {
  EXPECT_THAT(picked_of_pipeline({"unet/diffusion_pytorch_model.bin", "safety_checker/pytorch_model.bin",
                  "vae/diffusion_pytorch_model.bin"}),
      ElementsAre("unet unet/diffusion_pytorch_model.bin"));
}

TEST(Pick, Refuses_an_invalid_model_index) {
  for (const char* text : {"", "[]", "{", "7"}) EXPECT_THROW(pipeline_components(text), Error) << text;
}

}  // namespace
}  // namespace depickle::weights
