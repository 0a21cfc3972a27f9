#include "depickle/formats/safetensors/index.h"

#include <gmock/gmock.h>

#include "tests/formats/safetensors/files.h"

namespace depickle::safetensors {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::string rule_of_index(std::string_view json) {
  return error_of([&] { Index::parse(json); }).rule();
}
std::string rule_of_shard(std::string_view shard) {
  return rule_of_index("{\"weight_map\":{\"w\":\"" + std::string(shard) + "\"}}");
}

TEST(ShardIndex, ReadsTheWeightMapAndMetadata) {
  Index index = Index::parse(R"({"metadata": {"total_size": 12, "other": {"a": [1, 2.50]}}, "weight_map": )"
                             R"({"b": "m-2.safetensors", "a": "m-1.safetensors", "c": "m-2.safetensors"}, "x": null})");
  EXPECT_EQ(index.total_size_bytes(), 12u);
  EXPECT_THAT(index.metadata(), ElementsAre(Pair("other", R"({"a": [1, 2.50]})")));
  EXPECT_THAT(index.weight_map(),
      ElementsAre(Pair("b", "m-2.safetensors"), Pair("a", "m-1.safetensors"), Pair("c", "m-2.safetensors")));
  EXPECT_THAT(index.shards(), ElementsAre("m-2.safetensors", "m-1.safetensors"));
  EXPECT_EQ(*index.find("a"), "m-1.safetensors");
  EXPECT_EQ(index.find("d"), nullptr);
}

TEST(ShardIndex, TotalSizeMayBeMissingOrInvalid) {
  EXPECT_EQ(Index::parse(R"({"weight_map": {}})").total_size_bytes(), std::nullopt);
  EXPECT_EQ(Index::parse(R"({"metadata": {"total_size": "big"}, "weight_map": {}})").total_size_bytes(), std::nullopt);
  EXPECT_EQ(Index::parse(R"({"metadata": {"total_size": 1.5e9}, "weight_map": {}})").total_size_bytes(), std::nullopt);
  EXPECT_EQ(Index::parse(R"({"metadata": null, "weight_map": {}})").total_size_bytes(), std::nullopt);
}

TEST(ShardIndex, SX01_text_that_is_not_json) {
  for (const char* json : {"", "[]", "{", "{\"weight_map\":{},}", "{\"weight_map\":{}}x",
           "{\"weight_map\":{},\"x\":[1,]}", "{\"weight_map\":{\"\xff\":\"a\"}}"})
    EXPECT_EQ(rule_of_index(json), "SX01") << json;
  EXPECT_EQ(rule_of_index("{\"x\":" + std::string(100'000, '[')), "SX01");
}

TEST(ShardIndex, SX02_a_weight_map_names_each_tensor_once) {
  for (const char* json : {"{}", R"({"weight_map": []})", R"({"weight_map": {"a": 1}})",
           R"({"weight_map": {"a": "x", "\u0061": "y"}})", R"({"weight_map": {}, "weight_map": {}})"})
    EXPECT_EQ(rule_of_index(json), "SX02") << json;
}

TEST(ShardIndex, SX03_shards_are_plain_paths_below_the_folder) {
  for (const char* shard :
      {"", "..", ".", "../x", "a/../x", "/etc/passwd", "a//b", "a/", "./a", "a\\\\b", "a\\u0000b", "a\\nb"})
    EXPECT_EQ(rule_of_shard(shard), "SX03") << shard;
  for (const char* shard : {"model-00001-of-00002.safetensors", "sub/x.bin", "..x", "é"})
    EXPECT_EQ(rule_of_shard(shard), "accepted") << shard;
}

TEST(ShardIndex, ErrorsContainTheFileName) {
  Folder folder;
  auto path = folder.write("model.safetensors.index.json", R"({"weight_map": {"w": "../x"}})");
  Error error = error_of([&] { Index::read(path); });
  EXPECT_EQ(error.where().file, path);
  EXPECT_EQ(error.where().tensor, "w");
  folder.write("model.safetensors.index.json", "version https://git-lfs.github.com/spec/v1\nsize 9\n");
  EXPECT_THAT(error_of([&] { Index::read(path); }).message(), HasSubstr("not a shard index: a git-LFS pointer"));
}

TEST(ShardIndex, IsWrittenInTheFormatOfTransformers) {
  Index index =
      Index::of({{"b", "model-2.safetensors"}, {"a\"", "model-1.safetensors"}}, 12, {{"total_parameters", "3"}});
  EXPECT_EQ(index.to_json(), R"({
  "metadata": {
    "total_parameters": 3,
    "total_size": 12
  },
  "weight_map": {
    "a\"": "model-1.safetensors",
    "b": "model-2.safetensors"
  }
}
)");
  EXPECT_EQ(Index::parse(index.to_json()).to_json(), index.to_json());
  EXPECT_EQ(error_of([] { Index::of({{"w", "../x"}}, 0); }).rule(), "SX03");
}

TEST(ShardIndex, ManyShardsAreReadInLinearTime) {
  std::string json = "{\"weight_map\":{";
  for (int i = 0; i < 100'000; ++i)
    json += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":\"" + std::to_string(100'000 - i) + "\"";
  EXPECT_EQ(Index::parse(json + "}}").shards().size(), 100'000u);
}

}  // namespace
}  // namespace depickle::safetensors
