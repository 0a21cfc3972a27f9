#include "depickle/repo/tensor_check.h"

#include <gmock/gmock.h>

#include "depickle/base/text.h"
#include "depickle/formats/safetensors/index.h"
#include "tests/convert/torch_file.h"
#include "tests/repo/repository.h"

namespace depickle::repo {
namespace {

using convert::TorchFile;
using testing::ElementsAre;
using testing::IsEmpty;

// A safetensors file of F32 tensors of two elements.
struct Safe {
  std::vector<std::pair<std::string, std::vector<float>>> tensors;
  std::string metadata = R"("format":"pt")";
  const char* dtype = "F32";

  std::string file() const {
    std::string header = R"({"__metadata__":{)" + metadata + "}", data;
    for (const auto& [name, values] : tensors) {
      const size_t begin = data.size();
      data.append(reinterpret_cast<const char*>(values.data()), 4 * values.size());
      header += ",\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":[)" + std::to_string(values.size()) +
                R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
    }
    header += "}";
    std::string length(8, '\0');
    for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
    return length + header + data;
  }
};

std::shared_ptr<const ByteSource> source(const std::string& path, const std::string& content) {
  auto owner = std::make_shared<std::string>(content);
  return std::make_shared<MemorySource>(path, bytes(*owner), owner);
}

OpenFile opener(std::map<std::string, std::string> files) {
  return [files = std::move(files)](
             const std::string& path) { return files.contains(path) ? source(path, files.at(path)) : nullptr; };
}

Check checked(const TorchFile& pickle, const std::string& safetensors) {
  Check check;
  check.files = {{FileChange::Change::added, FileChange::Kind::weights, "model.safetensors", 1}};
  const ModelPair pair{.safetensors = {"model.safetensors", {"model.safetensors"}},
      .pickle = {"pytorch_model.bin", {"pytorch_model.bin"}}};
  check_model(check, pair, nullptr, opener({{"pytorch_model.bin", pickle.zip()}}),
      opener({{"model.safetensors", safetensors}}), {.threads = 1});
  return check;
}

std::vector<std::string> described(const Check& check) {
  std::vector<std::string> lines;
  for (const TensorFinding& finding : check.tensors)
    lines.push_back(std::string(name(finding.kind)) + " " + finding.file +
                    (finding.tensor.empty() ? "" : " " + finding.tensor) + ": " + finding.what);
  return lines;
}

TorchFile two() { return TorchFile().tensor("a", {1, 2}).tensor("b", {3, 4}); }
// A head that is tied to the embedding; loaders derive it from the embedding.
TorchFile tied() {
  return TorchFile().tensor("wte.weight", {1, 2}).view("lm_head.weight", 0, {2}, {1}).tensor("other.weight", {5, 6});
}

TEST(TensorCheck, Finds_nothing_in_a_correct_conversion) {
  const Check check = checked(two(), Safe{{{"a", {1, 2}}, {"b", {3, 4}}}}.file());
  EXPECT_THAT(described(check), IsEmpty());
  EXPECT_EQ(check.compared, 2u);
  EXPECT_EQ(check.sentence(), "It adds only weights, and all 2 tensors are identical to the pickle's.");
}

TEST(TensorCheck, Names_the_element_whose_bits_differ) {
  const Check check = checked(two(), Safe{{{"a", {1, 2}}, {"b", {3, 4.5f}}}}.file());
  EXPECT_THAT(described(check), ElementsAre("different model.safetensors b: element 1 is 0x40800000 in "
                                            "pytorch_model.bin and 0x40900000 in model.safetensors"));
  EXPECT_EQ(check.sentence(), "1 of 2 tensors identical to the pickle's: do not merge it.");
}

TEST(TensorCheck, Reports_swapped_tensors) {
  EXPECT_THAT(described(checked(two(), Safe{{{"a", {3, 4}}, {"b", {1, 2}}}}.file())),
      ElementsAre("swapped model.safetensors a: it has the bits of \"b\" in pytorch_model.bin",
          "swapped model.safetensors b: it has the bits of \"a\" in pytorch_model.bin"));
}

TEST(TensorCheck, Reports_missing_extra_and_renamed_tensors) {
  EXPECT_THAT(described(checked(two(), Safe{{{"a", {1, 2}}}}.file())),
      ElementsAre("missing model.safetensors b: pytorch_model.bin contains it, but the pull request does not"));
  EXPECT_THAT(described(checked(two(), Safe{{{"a", {1, 2}}, {"b", {3, 4}}, {"c", {9, 9}}}}.file())),
      ElementsAre("extra model.safetensors c: pytorch_model.bin does not contain it"));
  EXPECT_THAT(described(checked(two(), Safe{{{"a", {1, 2}}, {"c", {3, 4}}}}.file())),
      ElementsAre("missing model.safetensors b: pytorch_model.bin contains it, but the pull request does not",
          "renamed model.safetensors c: it has the bits of \"b\" in pytorch_model.bin"));
}

TEST(TensorCheck, Reports_another_shape_or_dtype) {
  EXPECT_THAT(described(checked(two(), Safe{{{"a", {1, 2}}, {"b", {3, 4, 5}}}}.file())),
      ElementsAre("shape model.safetensors b: [2] in pytorch_model.bin and [3] in model.safetensors"));
  Safe other{{{"a", {1, 2}}, {"b", {3, 4}}}};
  other.dtype = "I32";
  EXPECT_THAT(described(checked(two(), other.file())).front(),
      "dtype model.safetensors a: F32 in pytorch_model.bin and I32 in model.safetensors");
}

TEST(TensorCheck, Accepts_a_tied_name_that_is_recorded_and_one_that_is_not) {
  for (const char* metadata : {R"("format":"pt","lm_head.weight":"wte.weight")", R"("format":"pt")"}) {
    const Check check = checked(tied(), Safe{{{"other.weight", {5, 6}}, {"wte.weight", {1, 2}}}, metadata}.file());
    EXPECT_THAT(described(check), IsEmpty()) << metadata;
    EXPECT_EQ(check.identical, 3u) << metadata;
  }
}

TEST(TensorCheck, Reports_a_recorded_name_of_the_wrong_tensor) {
  EXPECT_THAT(described(checked(tied(), Safe{{{"other.weight", {5, 6}}, {"wte.weight", {1, 2}}},
                                            R"("format":"pt","lm_head.weight":"other.weight")"}
                                            .file())),
      ElementsAre("alias model.safetensors lm_head.weight: is recorded as another name of \"other.weight\", which it "
                  "does not equal in pytorch_model.bin"));
}

TEST(TensorCheck, Reports_a_file_that_stores_the_derived_name_only) {
  const char* what =
      "alias model.safetensors lm_head.weight: loaders derive it from \"wte.weight\", which should be stored instead";
  const std::vector<std::pair<std::string, std::vector<float>>> head_alone = {
      {"lm_head.weight", {1, 2}}, {"other.weight", {5, 6}}};
  EXPECT_THAT(described(checked(tied(), Safe{head_alone, R"("format":"pt","wte.weight":"lm_head.weight")"}.file())),
      ElementsAre(what));
  EXPECT_THAT(described(checked(tied(), Safe{head_alone}.file())), ElementsAre(what));
}

TEST(TensorCheck, Reports_a_recorded_name_of_a_tensor_that_the_file_does_not_contain) {
  EXPECT_THAT(described(checked(tied(), Safe{{{"other.weight", {5, 6}}, {"wte.weight", {1, 2}}},
                                            R"("format":"pt","wte.weight":"lm_head.weight")"}
                                            .file())),
      ElementsAre("alias model.safetensors wte.weight: is recorded as another name of \"lm_head.weight\", which the "
                  "file does not contain"));
}

TEST(TensorCheck, Reports_a_file_that_is_not_safetensors) {
  EXPECT_THAT(described(checked(two(), two().zip())),
      ElementsAre("unreadable model.safetensors: is not a safetensors file (got torch zip)"));
  EXPECT_THAT(described(checked(two(), "garbage")).front(), testing::StartsWith("unreadable model.safetensors"));
}

TEST(TensorCheck, Notes_metadata_that_transformers_4_refuses) {
  const Check check = checked(two(), Safe{{{"a", {1, 2}}, {"b", {3, 4}}}, R"("by":"me")"}.file());
  EXPECT_TRUE(check.passed());
  EXPECT_THAT(check.notes,
      ElementsAre("model.safetensors: its metadata contains no \"format\"; transformers 4 refuses such a file"));
}

TEST(TensorCheck, Reports_a_file_without_a_corresponding_pickle) {
  Check check;
  check_model(check, {.safetensors = {"x.safetensors", {"x.safetensors"}}, .pickle = {}}, nullptr, opener({}),
      opener({{"x.safetensors", Safe{{{"a", {1, 2}}}}.file()}}), {.threads = 1});
  EXPECT_THAT(
      described(check), ElementsAre("unmatched x.safetensors: the base contains no pickle with a corresponding name"));
}

TEST(Verdict, Names_the_first_finding_if_every_compared_tensor_is_identical) {
  Check check;
  check.tensors = {{TensorFinding::Kind::index, "model.safetensors.index.json", "c",
      "the index assigns it to 1.safetensors, but no shard contains it"}};
  check.compared = check.identical = 2;
  EXPECT_EQ(check.verdict(), Check::Verdict::different);
  EXPECT_EQ(check.sentence(),
      "All tensors are identical, but it must not be merged: model.safetensors.index.json: tensor \"c\": the index "
      "assigns it to 1.safetensors, but no shard contains it.");
  check.compared = check.identical = 0;
  EXPECT_TRUE(check.sentence().starts_with("It could not be compared: model.safetensors.index.json: "));
}

// Compares two shards with one pickle; the index contains `weight_map`.
Check checked_shards(const std::string& weight_map, const Safe& first, const Safe& second) {
  Check check;
  const safetensors::Index index = safetensors::Index::parse(R"({"weight_map": )" + weight_map + "}");
  const ModelPair pair{.safetensors = {"m/x.safetensors.index.json", {"m/1.safetensors", "m/2.safetensors"}},
      .pickle = {"m/x.bin", {"m/x.bin"}}};
  check_model(check, pair, &index, opener({{"m/x.bin", two().zip()}}),
      opener({{"m/1.safetensors", first.file()}, {"m/2.safetensors", second.file()}}), {.threads = 1});
  return check;
}

TEST(TensorCheck, Compares_the_index_with_its_shards) {
  const Safe a{{{"a", {1, 2}}}}, b{{{"b", {3, 4}}}};
  EXPECT_THAT(described(checked_shards(R"({"a": "1.safetensors", "b": "2.safetensors"})", a, b)), IsEmpty());
  EXPECT_THAT(described(checked_shards(R"({"a": "2.safetensors", "b": "2.safetensors"})", a, b)),
      ElementsAre("index m/x.safetensors.index.json a: the index assigns it to 2.safetensors, but m/1.safetensors "
                  "contains it"));
  EXPECT_THAT(described(checked_shards(R"({"a": "1.safetensors"})", a, b)),
      ElementsAre("index m/x.safetensors.index.json b: m/2.safetensors contains it, but the index does not name it"));
  EXPECT_THAT(described(checked_shards(R"({"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"})", a, b)),
      ElementsAre(
          "index m/x.safetensors.index.json c: the index assigns it to 1.safetensors, but no shard contains it"));
}

TEST(TensorCheck, Reports_a_tensor_that_two_shards_contain) {
  const Safe a{{{"a", {1, 2}}}}, both{{{"a", {1, 2}}, {"b", {3, 4}}}};
  EXPECT_THAT(described(checked_shards(R"({"a": "1.safetensors", "b": "2.safetensors"})", a, both)),
      ElementsAre("repeated m/2.safetensors a: m/1.safetensors contains it too"));
}

TEST(Verdict, Lists_the_other_changes_of_the_pull_request) {
  using Change = FileChange::Change;
  using Kind = FileChange::Kind;
  Check check;
  EXPECT_EQ(check.sentence(), "It adds no weights: there is nothing to compare.");
  check.files = {{Change::added, Kind::weights, "model.safetensors", 1}, {Change::added, Kind::code, "modeling.py", 1},
      {Change::deleted, Kind::other, "README.md", 1}, {Change::changed, Kind::config, "config.json", 1}};
  check.compared = check.identical = 4;
  EXPECT_EQ(check.verdict(), Check::Verdict::more_than_weights);
  EXPECT_EQ(check.sentence(),
      "It does more than add weights: it adds modeling.py, and changes config.json, and deletes README.md; all 4 "
      "tensors are identical to the pickle's.");
  check.identical = 3;
  EXPECT_EQ(check.verdict(), Check::Verdict::different);
  EXPECT_EQ(check.sentence(),
      "3 of 4 tensors identical to the pickle's: do not merge it. It also adds modeling.py, and changes config.json, "
      "and deletes README.md.");
}

}  // namespace
}  // namespace depickle::repo
