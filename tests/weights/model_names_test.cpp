#include "depickle/weights/model_names.h"

#include <gmock/gmock.h>

namespace depickle::weights {
namespace {

using Part = ModelName::Part;
using testing::ElementsAre;

// Returns "FOLDER STEM VARIANT pickle|safetensors PART".
std::string parsed(std::string_view path) {
  const auto name = parse_model_name(path);
  if (!name) return "";
  std::string text = name->folder + " " + name->stem + " " + name->variant;
  text += name->is_pickle ? " pickle" : " safetensors";
  if (name->part == Part::index) return text + " index";
  return name->part == Part::single ? text + " single"
                                    : text + " " + std::to_string(name->shard) + "/" + std::to_string(name->shards);
}

TEST(ModelName, Divides_the_names_that_libraries_look_for) {
  EXPECT_EQ(parsed("pytorch_model.bin"), " model  pickle single");
  EXPECT_EQ(
      parsed("unet/diffusion_pytorch_model.fp16.safetensors"), "unet/ diffusion_pytorch_model fp16 safetensors single");
  EXPECT_EQ(parsed("model.safetensors.index.fp16.json"), " model fp16 safetensors index");
  EXPECT_EQ(parsed("pytorch_model.fp16.bin.index.json"), " model fp16 pickle index");
  EXPECT_EQ(
      parsed("diffusion_pytorch_model.safetensors.fp16.index.json"), " diffusion_pytorch_model fp16 safetensors index");
  EXPECT_EQ(parsed("model.fp16-00001-of-00002.safetensors"), " model fp16 safetensors 1/2");
  EXPECT_EQ(parsed("pytorch_model-00002-of-00002.fp16.bin"), " model fp16 pickle 2/2");
}

TEST(ModelName, Is_nothing_else) {
  for (const char* path : {"model.bin", "pytorch_model.safetensors", "pytorch_model.pt", "Model.safetensors",
           "pytorch_model.BIN", "best.bin", "model.safetensors.index.fp16", "model..safetensors", "model.index.json",
           "pytorch_model-00003-of-00002.bin", "pytorch_model-00000-of-00002.bin", "pytorch_model-1-of-2.bin", "",
           "model_index.json", ".bin", "model.fp16-00001-of-00002.fp32.safetensors"})
    EXPECT_EQ(parsed(path), "") << path;
}

// The shards of a model, its notes, or the error.
std::vector<std::string> shards(const std::set<std::string>& names, const std::string& index) {
  Indexes indexes(names, [&](const std::string&) { return safetensors::Index::parse(index); });
  std::vector<std::string> lines;
  for (const StandardModel& model : standard_models(names)) {
    try {
      const ModelShards found = shards_of(model, model.pickle, indexes, names);
      lines = found.files;
      lines.insert(lines.end(), found.notes.begin(), found.notes.end());
    } catch (const Error& error) {
      lines.push_back(error.what());
    }
  }
  return lines;
}

std::string index_of(const std::vector<std::string>& files) {
  std::string map;
  for (const std::string& file : files)
    map += (map.empty() ? "" : ", ") + std::string("\"t") + std::to_string(map.size()) + "\": \"" + file + "\"";
  return R"({"metadata": {}, "weight_map": {)" + map + "}}";
}

const std::string kIndex = "pytorch_model.bin.index.json", k1 = "pytorch_model-00001-of-00002.bin",
                  k2 = "pytorch_model-00002-of-00002.bin";

TEST(ShardsOf, Takes_the_named_shards_and_the_rest_of_their_series) {
  EXPECT_THAT(shards({kIndex, k1, k2}, index_of({k2, k1})), ElementsAre(k1, k2));
  EXPECT_THAT(shards({kIndex, k1, k2}, index_of({k1})), ElementsAre(k1, k2, "the index does not name the shard " + k2));
  EXPECT_THAT(shards({kIndex, k1, "pytorch_model-00001-of-00009.bin"}, index_of({k1})), ElementsAre(k1));
}

TEST(ShardsOf, Takes_the_only_complete_series_if_the_index_is_wrong_or_missing) {
  const std::string other = "pytorch_model-00003-of-00004.bin";
  EXPECT_THAT(shards({kIndex, k1, k2}, index_of({other})),
      ElementsAre(k1, k2, "the index names " + other + ", which does not exist"));
  EXPECT_THAT(shards({k1, k2}, ""), ElementsAre(k1, k2, "no index names the shards"));
  EXPECT_EQ(shards({kIndex, k1, k2}, "[]").size(), 3u);
}

TEST(ShardsOf, Refuses_incomplete_and_several_series) {
  EXPECT_THAT(shards({kIndex, k1}, index_of({k1, k2})),
      ElementsAre(kIndex + ": names the shard \"" + k2 + "\", which does not exist"));
  EXPECT_THAT(shards({k1}, ""), ElementsAre(k1 + ": 1 of 2 shards exist, and no index names them"));
  EXPECT_THAT(shards({k1, k2, "pytorch_model-00001-of-00001.bin"}, ""),
      ElementsAre("pytorch_model-00001-of-00001.bin: is one of 2 complete series of shards, and no index chooses one"));
}

TEST(Indexes, Passes_on_errors_of_reading_and_stores_those_of_the_content) {
  const std::set<std::string> names{kIndex};
  int reads = 0;
  Indexes lost(names, [&](const std::string&) -> safetensors::Index { throw Error(Code::network, "", "lost"); });
  EXPECT_THROW(lost.is_loadable(kIndex), Error);
  Indexes invalid(names, [&](const std::string&) { return ++reads, safetensors::Index::parse("[]"); });
  EXPECT_FALSE(invalid.is_loadable(kIndex));
  EXPECT_THROW(invalid.at(kIndex), Error);
  EXPECT_EQ(reads, 1);
}

}  // namespace
}  // namespace depickle::weights
