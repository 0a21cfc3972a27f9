// load_pretrained() of local folders. tests/python/hub tests it with repositories.
#include "depickle/repo/pretrained.h"

#include <gmock/gmock.h>

#include "tests/convert/torch_file.h"
#include "tests/error_of.h"
#include "tests/temporary_folder.h"

namespace depickle::repo {
namespace {

using convert::TorchFile;
using testing::ElementsAre;
using testing::HasSubstr;

std::string safetensors(std::string_view name) {
  std::string header = "{\"" + std::string(name) + "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(4, '\0');
}

std::string pickled(std::string_view name) { return TorchFile().tensor(name, {1, 2}).zip(); }

TEST(LoadPretrained, Prefers_safetensors_to_the_pickle) {
  Folder folder;
  put(folder / "model.safetensors", safetensors("safe"));
  put(folder / "pytorch_model.bin", pickled("pickled"));
  Pretrained loaded = load_pretrained(folder.path().string());
  EXPECT_FALSE(loaded.is_pipeline);
  EXPECT_FALSE(loaded.components.front().is_pickle);
  EXPECT_NE(loaded.weights().find("safe"), nullptr);
}

TEST(LoadPretrained, Reads_the_pickle_if_no_safetensors_exist) {
  Folder folder;
  put(folder / "pytorch_model.bin", pickled("w"));
  Pretrained loaded = load_pretrained(folder.path().string());
  EXPECT_TRUE(loaded.components.front().is_pickle);
  EXPECT_EQ(loaded.weights().at("w").size_bytes, 8u);
}

TEST(LoadPretrained, Refuses_a_pickle_under_the_paranoid_policy) {
  Folder folder;
  put(folder / "pytorch_model.bin", pickled("w"));
  Error error = error_of([&] { load_pretrained(folder.path().string(), {.policy = Policy::paranoid}); });
  EXPECT_EQ(error.code(), Code::unsafe);
  EXPECT_THAT(
      error.what(), HasSubstr("pytorch_model.bin: is a pickle, and the repository has no safetensors file for it"));
}

TEST(LoadPretrained, Opens_the_requested_variant) {
  Folder folder;
  put(folder / "model.safetensors", safetensors("full"));
  put(folder / "model.fp16.safetensors", safetensors("half"));
  EXPECT_NE(load_pretrained(folder.path().string(), {.variant = "fp16"}).weights().find("half"), nullptr);
  EXPECT_NE(load_pretrained(folder.path().string()).weights().find("full"), nullptr);
}

TEST(LoadPretrained, Returns_the_components_of_a_pipeline_by_name) {
  Folder folder;
  put(folder / "model_index.json", R"({"_class_name": "P", "unet": ["diffusers", "U"], "vae": ["diffusers", "V"]})");
  put(folder / "unet/diffusion_pytorch_model.safetensors", safetensors("u"));
  put(folder / "vae/diffusion_pytorch_model.safetensors", safetensors("v"));
  Pretrained loaded = load_pretrained(folder.path().string());
  EXPECT_TRUE(loaded.is_pipeline);
  std::vector<std::string> names;
  for (const Pretrained::Component& component : loaded.components) names.push_back(component.name);
  EXPECT_THAT(names, ElementsAre("unet", "vae"));
  EXPECT_NE(loaded.at("vae").find("v"), nullptr);
  EXPECT_THAT(refusal([&] { loaded.at("text_encoder"); }), HasSubstr("it has unet, vae"));
  EXPECT_EQ(error_of([&] { loaded.weights(); }).code(), Code::unsupported);
  EXPECT_NE(load_pretrained(folder.path().string(), {.subfolder = "unet"}).weights().find("u"), nullptr);
}

}  // namespace
}  // namespace depickle::repo
