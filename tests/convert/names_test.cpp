#include "depickle/convert/names.h"

#include <gtest/gtest.h>

namespace depickle::convert {
namespace {

TEST(TargetName, A_single_model_gets_the_name_that_loaders_expect) {
  EXPECT_EQ(target_name("pytorch_model.bin"), "model.safetensors");
  EXPECT_EQ(target_name("pytorch_model.fp16.bin"), "model.fp16.safetensors");
}

TEST(TargetName, Shards_keep_their_numbers_and_variants) {
  EXPECT_EQ(target_name("pytorch_model-00001-of-00002.bin"), "model-00001-of-00002.safetensors");
  EXPECT_EQ(target_name("pytorch_model.fp16-00001-of-00002.bin"), "model.fp16-00001-of-00002.safetensors");
  EXPECT_EQ(target_name("pytorch_model-00001-of-00002.fp16.bin"), "model-00001-of-00002.fp16.safetensors");
}

TEST(TargetName, Folders_and_diffusers_names_stay) {
  EXPECT_EQ(target_name("unet/diffusion_pytorch_model.bin"), "unet/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(target_name("text_encoder/pytorch_model.bin"), "text_encoder/model.safetensors");
  EXPECT_EQ(target_name("pytorch_model/x.bin"), "pytorch_model/x.safetensors");
}

TEST(TargetName, Any_other_stem_stays) {
  for (const char* source : {"x.bin", "x.pt", "x.pth", "x.ckpt", "x.pth.tar"})
    EXPECT_EQ(target_name(source), "x.safetensors") << source;
  EXPECT_EQ(target_name("pytorch_model_ema.bin"), "pytorch_model_ema.safetensors");
  EXPECT_EQ(target_name("v1.5.ckpt"), "v1.5.safetensors");
}

TEST(TargetName, Other_extensions_have_no_target) {
  for (const char* source : {"model.safetensors", "config.json", "bin", ".bin", "a/.pt", "x.binary", ""})
    EXPECT_FALSE(target_name(source)) << source;
}

TEST(TargetIndexName, An_index_is_renamed_like_its_shards) {
  EXPECT_EQ(target_index_name("pytorch_model.bin.index.json"), "model.safetensors.index.json");
  EXPECT_EQ(target_index_name("pytorch_model.bin.index.fp16.json"), "model.safetensors.index.fp16.json");
  EXPECT_EQ(target_index_name("pytorch_model.fp16.bin.index.json"), "model.fp16.safetensors.index.json");
  EXPECT_EQ(target_index_name("unet/diffusion_pytorch_model.bin.index.json"),
      "unet/diffusion_pytorch_model.safetensors.index.json");
}

TEST(TargetIndexName, Other_json_files_are_not_an_index) {
  for (const char* name :
      {"model.safetensors.index.json", "config.json", ".bin.index.json", "x.bin.index.notjson", "x.bin.index"})
    EXPECT_FALSE(target_index_name(name)) << name;
}

}  // namespace
}  // namespace depickle::convert
