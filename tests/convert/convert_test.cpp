#include "depickle/convert/convert.h"

#include <gmock/gmock.h>

#include "tests/convert/made.h"
#include "torch_file.h"

namespace depickle::convert {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string gpt() {
  return TorchFile()
      .tensor("lm_head.weight", {1, 2, 3, 4})
      .view("wte.weight", 0, {4}, {1})
      .tensor("bias", {5})
      .number("epoch", 3)
      .zip();
}

std::vector<std::string> tree(const Folder& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path()))
    if (!entry.is_directory()) out.push_back(entry.path().lexically_relative(folder.path()).string());
  std::ranges::sort(out);
  return out;
}

TEST(ConvertFile, A_checkpoint_is_converted_and_reported) {
  Folder folder;
  put(folder / "pytorch_model.bin", gpt());
  Report report = convert_file(folder / "pytorch_model.bin", folder / "model.safetensors");
  ASSERT_THAT(report.files, SizeIs(1));
  const FileReport& file = report.files[0];
  EXPECT_EQ(file.container, "torch zip");
  EXPECT_EQ(file.tensors, 3u);
  EXPECT_EQ(file.identical, 3u);
  EXPECT_EQ(file.tensor_bytes, 20u);
  EXPECT_EQ(file.file_bytes, std::filesystem::file_size(folder / "model.safetensors"));
  ASSERT_THAT(file.tied, SizeIs(1));
  EXPECT_EQ(file.tied[0].name, "lm_head.weight");
  EXPECT_EQ(file.tied[0].kept, "wte.weight");
  ASSERT_THAT(file.unused, SizeIs(1));
  EXPECT_EQ(file.unused[0].path, "epoch");
  EXPECT_THAT(content_of(folder / "model.safetensors"),
      HasSubstr(R"({"__metadata__":{"format":"pt","lm_head.weight":"wte.weight"},)"
                R"("bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"));
  EXPECT_TRUE(
      compare(weights::open(folder / "pytorch_model.bin"), weights::open(folder / "model.safetensors")).is_identical());
}

TEST(ConvertFile, A_folder_as_target_gets_a_file_with_the_usual_name) {
  Folder folder;
  put(folder / "pytorch_model.bin", gpt());
  put(folder / "odd.name", gpt());
  convert_file(folder / "pytorch_model.bin", folder.path());
  convert_file(folder / "odd.name", folder.path());
  EXPECT_THAT(tree(folder), ElementsAre("model.safetensors", "odd.name", "odd.name.safetensors", "pytorch_model.bin"));
}

TEST(ConvertFile, An_existing_target_is_replaced_only_with_force) {
  Folder folder;
  put(folder / "x.bin", gpt());
  put(folder / "x.safetensors", "mine");
  Error error = error_of([&] { convert_file(folder / "x.bin", folder / "x.safetensors"); });
  EXPECT_THAT(error.what(), HasSubstr("already exists"));
  EXPECT_EQ(content_of(folder / "x.safetensors"), "mine");
  convert_file(folder / "x.bin", folder / "x.safetensors", {.force = true});
  EXPECT_NE(content_of(folder / "x.safetensors"), "mine");
}

TEST(ConvertFile, The_source_cannot_be_the_target) {
  Folder folder;
  put(folder / "x.bin", gpt());
  EXPECT_THAT(error_of([&] { convert_file(folder / "x.bin", folder / "x.bin", {.force = true}); }).what(),
      HasSubstr("the same file"));
  EXPECT_EQ(content_of(folder / "x.bin"), gpt());
}

TEST(ConvertFile, A_safetensors_file_is_up_to_date) {
  Folder folder;
  put(folder / "x.bin", gpt());
  convert_file(folder / "x.bin", folder / "x.safetensors");
  Report report = convert_file(folder / "x.safetensors", folder / "y.safetensors");
  EXPECT_TRUE(report.nothing_to_do());
  ASSERT_THAT(report.up_to_date, SizeIs(1));
  EXPECT_EQ(report.up_to_date[0].reason, "is already safetensors");
  EXPECT_THAT(tree(folder), ElementsAre("x.bin", "x.safetensors"));
}

TEST(ConvertFile, Cancelling_leaves_no_file) {
  Folder folder;
  put(folder / "x.bin", gpt());
  Progress stop = [](const Step& step) {
    if (step.phase == "compare") throw Error(Code::cancelled, "", "stopped");
  };
  EXPECT_EQ(
      error_of([&] { convert_file(folder / "x.bin", folder / "x.safetensors", {}, stop); }).code(), Code::cancelled);
  EXPECT_THAT(tree(folder), ElementsAre("x.bin"));
}

TEST(ConvertFile, A_dry_run_writes_nothing) {
  Folder folder;
  put(folder / "x.bin", gpt());
  Report report = dry_run_file(folder / "x.bin", folder / "x.safetensors", {.receipt = folder / "receipt.json"});
  ASSERT_THAT(report.files, SizeIs(1));
  EXPECT_EQ(report.files[0].tensors, 3u);
  EXPECT_EQ(report.files[0].identical, 0u);
  EXPECT_THAT(tree(folder), ElementsAre("x.bin"));
}

TEST(ConvertFile, Ties_copy_stores_every_name) {
  Folder folder;
  put(folder / "x.bin", gpt());
  Report report = convert_file(folder / "x.bin", folder / "x.safetensors", {.plan = {.ties = PlanOptions::Ties::copy}});
  EXPECT_EQ(report.files[0].tensor_bytes, 36u);
  EXPECT_THAT(weights::open(folder / "x.safetensors").tensors(), SizeIs(3));
}

TEST(ConvertFolder, Every_weights_file_is_converted_into_its_subfolder) {
  Folder in, out;
  put(in / "unet/diffusion_pytorch_model.bin", gpt());
  put(in / "text_encoder/pytorch_model.fp16.bin", gpt());
  put(in / "config.json", "{}");
  put(in / "optimizer.pt", gpt());
  put(in / ".git/x.bin", gpt());
  Report report = convert_folder(in.path(), out.path());
  EXPECT_THAT(
      tree(out), ElementsAre("text_encoder/model.fp16.safetensors", "unet/diffusion_pytorch_model.safetensors"));
  ASSERT_THAT(report.skipped, SizeIs(1));
  EXPECT_EQ(report.skipped[0].file, "optimizer.pt");
  EXPECT_EQ(report.skipped[0].reason, "optimizer state");
  EXPECT_THAT(report.failed, IsEmpty());
}

std::string old_index(std::string_view more = "") {
  return R"({"metadata": {"total_size": 1}, "weight_map": {"a": "pytorch_model-00001-of-00002.bin",)"
         R"( "t": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin")" +
         std::string(more) + "}}";
}

void put_shards(const Folder& folder) {
  put(folder / "pytorch_model-00001-of-00002.bin", TorchFile().tensor("a", {1, 2}).view("t", 0, {2}, {1}).zip());
  put(folder / "pytorch_model-00002-of-00002.bin", TorchFile().tensor("b", {3}).zip());
  put(folder / "pytorch_model.bin.index.json", old_index());
}

TEST(ConvertFolder, A_sharded_model_gets_a_new_index) {
  Folder in, out;
  put_shards(in);
  Report report = convert_folder(in.path(), out.path());
  EXPECT_THAT(tree(out), ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                             "model.safetensors.index.json"));
  EXPECT_EQ(content_of(out / "model.safetensors.index.json"),
      "{\n  \"metadata\": {\n    \"total_size\": 12\n  },\n  \"weight_map\": {\n"
      "    \"a\": \"model-00001-of-00002.safetensors\",\n    \"b\": \"model-00002-of-00002.safetensors\"\n  }\n}\n");
  ASSERT_THAT(report.indexes, SizeIs(1));
  EXPECT_EQ(report.indexes[0].total_bytes, 12u);
  EXPECT_THAT(report.indexes[0].notes, IsEmpty());
  EXPECT_THAT(weights::open(out / "model.safetensors.index.json").tensors(), SizeIs(2));
}

TEST(ConvertFolder, A_name_in_no_shard_is_a_note) {
  Folder in, out;
  put_shards(in);
  put(in / "pytorch_model.bin.index.json", old_index(R"(, "gone": "pytorch_model-00002-of-00002.bin")"));
  Report report = convert_folder(in.path(), out.path());
  ASSERT_THAT(report.indexes, SizeIs(1));
  EXPECT_THAT(
      report.indexes[0].notes, ElementsAre(R"(1 tensor listed in the old index but found in no shard: "gone")"));
}

TEST(ConvertFolder, A_model_with_a_missing_shard_is_not_converted) {
  Folder in, out;
  put_shards(in);
  std::filesystem::remove(in / "pytorch_model-00002-of-00002.bin");
  Report report = convert_folder(in.path(), out.path());
  ASSERT_THAT(report.failed, SizeIs(1));
  EXPECT_EQ(report.failed[0].error.code(), Code::not_found);
  EXPECT_THAT(tree(out), IsEmpty());
}

TEST(ConvertFolder, A_model_with_a_broken_shard_is_not_converted_and_the_rest_is) {
  Folder in, out;
  put_shards(in);
  put(in / "pytorch_model-00002-of-00002.bin", gpt().substr(0, 300));
  put(in / "vae/pytorch_model.bin", gpt());
  Report report = convert_folder(in.path(), out.path());
  ASSERT_THAT(report.failed, SizeIs(1));
  EXPECT_EQ(report.failed[0].file, "pytorch_model-00002-of-00002.bin");
  EXPECT_THAT(tree(out), ElementsAre("vae/model.safetensors"));
}

TEST(ConvertFolder, One_tensor_in_two_shards_is_refused) {
  Folder in, out;
  put_shards(in);
  put(in / "pytorch_model-00002-of-00002.bin", TorchFile().tensor("b", {3}).tensor("a", {4}).zip());
  Report report = convert_folder(in.path(), out.path());
  ASSERT_THAT(report.failed, SizeIs(1));
  EXPECT_THAT(report.failed[0].error.what(), HasSubstr("\"a\""));
  EXPECT_THAT(report.indexes, IsEmpty());
}

TEST(ConvertFolder, A_second_run_has_nothing_to_do) {
  Folder in, out;
  put_shards(in);
  put(in / "vae/pytorch_model.bin", gpt());
  convert_folder(in.path(), out.path());
  const std::string index = content_of(out / "model.safetensors.index.json");
  Report report = convert_folder(in.path(), out.path());
  EXPECT_TRUE(report.nothing_to_do());
  EXPECT_THAT(report.up_to_date, SizeIs(3));
  EXPECT_EQ(content_of(out / "model.safetensors.index.json"), index);
}

TEST(ConvertFolder, An_interrupted_run_can_be_repeated) {
  Folder in, out;
  put_shards(in);
  convert_folder(in.path(), out.path());
  std::filesystem::remove(out / "model-00002-of-00002.safetensors");
  std::filesystem::remove(out / "model.safetensors.index.json");
  Report report = convert_folder(in.path(), out.path());
  EXPECT_THAT(report.up_to_date, SizeIs(1));
  EXPECT_THAT(report.files, SizeIs(1));
  EXPECT_THAT(content_of(out / "model.safetensors.index.json"), HasSubstr("\"total_size\": 12"));
  EXPECT_THAT(report.indexes[0].notes, IsEmpty());
}

TEST(ConvertFolder, A_target_with_different_content_is_an_error) {
  Folder in, out;
  put(in / "x.bin", gpt());
  put(in / "y.bin", TorchFile().tensor("a", {1}).zip());
  convert_file(in / "y.bin", out / "x.safetensors");
  const std::string before = content_of(out / "x.safetensors");
  Report report = convert_folder(in.path(), out.path());
  ASSERT_THAT(report.failed, SizeIs(1));
  EXPECT_THAT(report.failed[0].error.what(), HasSubstr("already exists with different content"));
  EXPECT_EQ(content_of(out / "x.safetensors"), before);
}

TEST(ConvertFolder, A_file_with_its_target_in_the_same_folder_is_up_to_date) {
  Folder folder;
  put(folder / "pytorch_model.bin", gpt());
  EXPECT_THAT(convert_folder(folder.path(), folder.path()).files, SizeIs(1));
  Report report = convert_folder(folder.path(), folder.path());
  EXPECT_TRUE(report.nothing_to_do());
  ASSERT_THAT(report.up_to_date, SizeIs(1));
  EXPECT_EQ(report.up_to_date[0].reason, "model.safetensors already exists");
  EXPECT_THAT(convert_folder(folder.path(), folder.path(), {.force = true}).files, SizeIs(1));
}

TEST(ConvertFolder, Links_to_files_are_followed_and_links_to_folders_are_not) {
  Folder in, out, cache;
  put(cache / "blobs/1234", gpt());
  std::filesystem::create_symlink(cache / "blobs/1234", in / "x.bin");
  std::filesystem::create_directory_symlink(in.path(), in / "again");
  Report report = convert_folder(in.path(), out.path());
  EXPECT_THAT(tree(out), ElementsAre("x.safetensors"));
  std::filesystem::create_symlink(cache / "blobs/gone", in / "dangling.bin");
  report = convert_folder(in.path(), out.path());
  ASSERT_THAT(report.failed, SizeIs(1));
  EXPECT_EQ(report.failed[0].error.code(), Code::not_found);
}

TEST(ConvertFolder, A_target_inside_the_source_is_not_converted) {
  Folder in;
  put(in / "x.bin", gpt());
  put(in / "out/y.bin", gpt());
  Report report = convert_folder(in.path(), in / "out");
  EXPECT_THAT(report.files, SizeIs(1));
  EXPECT_THAT(tree(in), ElementsAre("out/x.safetensors", "out/y.bin", "x.bin"));
}

TEST(ConvertFolder, Two_files_with_the_same_target_are_an_error) {
  Folder in, out;
  put(in / "x.bin", gpt());
  put(in / "x.pt", gpt());
  Report report = convert_folder(in.path(), out.path());
  EXPECT_THAT(report.files, IsEmpty());
  ASSERT_THAT(report.failed, SizeIs(2));
  EXPECT_EQ(report.failed[0].error.message(), "its target x.safetensors is also the target of x.pt");
}

TEST(ConvertFolder, A_file_of_unknown_format_is_skipped) {
  Folder in, out;
  put(in / "tokenizer.bin", "text with the extension of weights");
  Report report = convert_folder(in.path(), out.path());
  EXPECT_TRUE(report.nothing_to_do());
  EXPECT_THAT(report.skipped, SizeIs(1));
}

TEST(ConvertFolder, A_git_lfs_pointer_is_a_failure) {
  Folder in, out;
  put(in / "pytorch_model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 548118077\n");
  Report report = convert_folder(in.path(), out.path());
  EXPECT_FALSE(report.nothing_to_do());
  ASSERT_THAT(report.failed, SizeIs(1));
  EXPECT_THAT(report.failed[0].error.what(), HasSubstr("git-LFS pointer"));
}

TEST(ConvertFolder, A_dry_run_writes_nothing) {
  Folder in, out;
  put_shards(in);
  Report report = dry_run_folder(in.path(), out / "new");
  EXPECT_THAT(report.files, SizeIs(2));
  EXPECT_THAT(report.indexes, SizeIs(1));
  EXPECT_THAT(tree(out), IsEmpty());
}

}  // namespace
}  // namespace depickle::convert
