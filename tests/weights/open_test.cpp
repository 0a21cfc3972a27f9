// open(): files, folders and indexes, recognized by content.
#include <fcntl.h>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "depickle/os/file_descriptor.h"
#include "depickle/scan/scan.h"
#include "depickle/weights/weights.h"
#include "tests/error_of.h"
#include "tests/formats/torch/zips.h"
#include "tests/scaling.h"
#include "tests/temporary_folder.h"

namespace depickle::weights {
namespace {

using testing::HasSubstr;
namespace made = torch::made;

const std::string kTwo = made::floats({1, 2});
std::string torch_file(const std::string& name) {
  return made::torch_zip(made::dict({{name, made::vector("0", 2)}}), {{"0", kTwo}});
}
std::string safetensors_file(const std::string& name) {
  std::string header =
      R"({"__metadata__":{"format":"pt"},")" + name + R"(":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  return made::raw<uint64_t>(header.size()) + header + kTwo;
}
std::string index(const std::vector<std::pair<std::string, std::string>>& weight_map) {
  std::string out;
  for (const auto& [name, shard] : weight_map) out += (out.empty() ? "" : ",") + ("\"" + name + "\":\"" + shard + "\"");
  return R"({"metadata":{"total_size":16},"weight_map":{)" + out + "}}";
}

// Returns the container and the names: "torch zip: a b".
std::string opened(const std::filesystem::path& path, const OpenOptions& options = {}) {
  Weights weights = open(path, options);
  std::string out = weights.container() + ":";
  for (const Tensor& tensor : weights.tensors()) {
    out += " " + std::string(tensor.name);
    EXPECT_EQ(text(weights.view(tensor)), kTwo) << tensor.name;
  }
  return out;
}

TEST(Open, DecidesByContentNotByName) {
  Folder folder;
  EXPECT_EQ(opened(folder.write("model.safetensors", torch_file("a"))), "torch zip: a");
  EXPECT_EQ(opened(folder.write("model.bin", safetensors_file("a"))), "safetensors: a");
  EXPECT_EQ(
      opened(folder.write("notes.txt",
          made::legacy(made::dict({{"a", made::tensor(made::storage("FloatStorage", "1", 2, made::kNone), {2}, {1})}}),
              {{"1", 2, kTwo}}))),
      "torch legacy: a");
  EXPECT_EQ(opened(folder.write("x", made::pickle(made::dict({{"n", made::number(1)}})))), "pickle:");
  EXPECT_EQ(opened(folder.write("index", index({{"a", "model.bin"}}))), "safetensors, sharded: a");
}

TEST(Open, KeepsTheMetadata) {
  Folder folder;
  Weights weights = open(folder.write("m", safetensors_file("a")));
  ASSERT_EQ(weights.metadata().size(), 1u);
  EXPECT_EQ(weights.metadata()[0].second, "pt");
  EXPECT_EQ(weights.files().size(), 1u);
  EXPECT_EQ(weights.files()[0]->name(), (folder / "m").string());
}

TEST(Open, MergesAMillionMetadataKeysInLinearTime) {
  expect_linear(50'000, [](size_t size) {
    std::string metadata;
    for (size_t i = 0; i < size; ++i) metadata += (i ? ",\"" : "\"") + std::to_string(i) + "\":\"v\"";
    std::string header =
        R"({"__metadata__":{)" + metadata + R"(},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
    Folder folder;
    folder.write("a.safetensors", made::raw<uint64_t>(header.size()) + header + kTwo);
    EXPECT_EQ(open(folder.write("index", index({{"a", "a.safetensors"}}))).metadata().size(), size);
  });
}

TEST(Open, TakesTheRootOfACheckpoint) {
  Folder folder;
  std::string part = made::dict({{"a", made::vector("0", 2)}});
  auto path = folder.write("ckpt",
      made::torch_zip(made::dict({{"state_dict", part}, {"ema", part}, {"epoch", made::number(1)}}), {{"0", kTwo}}));
  EXPECT_EQ(opened(path), "torch zip: a");
  Weights weights = open(path);
  EXPECT_EQ(weights.root(), "state_dict");
  EXPECT_EQ(weights.unused().size(), 2u);
  EXPECT_EQ(opened(path, {.root = "."}), "torch zip: state_dict.a ema.a");
}

TEST(Open, NamesTheFileInErrors) {
  Folder folder;
  EXPECT_EQ(
      refusal([&] { open(folder / "gone"); }), (folder / "gone").string() + ": cannot open: No such file or directory");
  auto page = folder.write("page.bin", "<html>");
  EXPECT_EQ(refusal([&] { open(page); }), page.string() + ": not a model file: a web page");
  auto empty = folder.write("empty.bin", "");
  EXPECT_EQ(refusal([&] { open(empty); }), empty.string() + ": the file is empty");
  auto outside = folder.write(
      "o", made::torch_zip(made::dict({{"w", made::tensor(made::storage("FloatStorage", "0", 2), {2, 1}, {5, 1})}}),
               {{"0", kTwo}}));
  EXPECT_EQ(refusal([&] { open(outside); }), outside.string() +
                                                 ": tensor \"w\": [TT05] shape [2, 1], strides [5, 1] of float32 at "
                                                 "element 0 reaches outside its storage (have 8 bytes, need 24)");
  auto twice = folder.write("t",
      made::torch_zip(made::dict({{"a.b", made::vector("0", 2)}, {"a", made::dict({{"b", made::vector("0", 2)}})}}),
          {{"0", kTwo}}));
  EXPECT_EQ(refusal([&] { open(twice); }),
      twice.string() +
          ": tensor \"a.b\": [WT04] two tensors have this name: the key \"a.b\" (str), and the keys "
          "\"a\" (str), \"b\" (str)");
}

TEST(OpenFolder, TakesTheModelByItsName) {
  Folder folder;
  folder.write("optimizer.bin", torch_file("o"));
  folder.write("pytorch_model.bin", torch_file("p"));
  EXPECT_EQ(opened(folder.path()), "torch zip: p");
  folder.write("model.safetensors", safetensors_file("s"));
  EXPECT_EQ(opened(folder.path()), "safetensors: s") << "safetensors before pickles";
}

TEST(OpenFolder, TakesTheIndexOfAShardedModel) {
  Folder folder;
  folder.write("model-00001-of-00002.safetensors", safetensors_file("a"));
  folder.write("model-00002-of-00002.safetensors", safetensors_file("b"));
  folder.write("model.safetensors.index.json",
      index({{"a", "model-00001-of-00002.safetensors"}, {"b", "model-00002-of-00002.safetensors"}}));
  EXPECT_EQ(opened(folder.path()), "safetensors, sharded: a b");
}

TEST(OpenFolder, TakesTheOnlyWeightsFile) {
  Folder folder;
  EXPECT_EQ(refusal([&] { open(folder.path()); }),
      folder.path().string() + ": the folder contains 0 weights files, and none has a standard name");
  folder.write("net.pth", torch_file("n"));
  folder.write("readme.md", "text");
  EXPECT_EQ(opened(folder.path()), "torch zip: n");
  folder.write("other.pth.tar", torch_file("n"));
  EXPECT_THAT(refusal([&] { open(folder.path()); }), HasSubstr("the folder contains 2 weights files"));
}

TEST(OpenSharded, IsSafetensorsOnlyIfAllShardsAre) {
  Folder folder;
  folder.write("1.bin", torch_file("a"));
  folder.write("2.bin", safetensors_file("b"));
  folder.write("3.bin", safetensors_file("c"));
  const auto kind_of = [&](const std::string& entries) { return open(folder.write("x.index.json", entries)).kind(); };
  EXPECT_EQ(kind_of(index({{"a", "1.bin"}, {"b", "2.bin"}})), detect::FileKind::zip);
  EXPECT_EQ(kind_of(index({{"b", "2.bin"}, {"c", "3.bin"}})), detect::FileKind::safetensors);
}

TEST(OpenSharded, JoinsShardsOfEitherKind) {
  Folder folder;
  folder.write("1.bin", torch_file("a"));
  folder.write(
      "2.bin", made::torch_zip(made::dict({{"b", made::vector("0", 2)}, {"n", made::number(1)}}), {{"0", kTwo}}));
  Weights weights = open(folder.write("pytorch_model.bin.index.json", index({{"a", "1.bin"}, {"b", "2.bin"}})));
  EXPECT_EQ(weights.container(), "torch zip, sharded");
  EXPECT_EQ(weights.tensors().size(), 2u);
  EXPECT_EQ(text(weights.view(weights.at("b"))), kTwo);
  EXPECT_EQ(weights.files().size(), 2u);
  EXPECT_EQ(weights.unused().size(), 1u);
}

TEST(OpenSharded, SX04_shards_without_a_tensor_of_the_index) {
  Folder folder;
  folder.write("1.bin", torch_file("a"));
  auto path = folder.write("x.index.json", index({{"a", "1.bin"}, {"b", "1.bin"}}));
  EXPECT_EQ(refusal([&] { open(path); }),
      path.string() + ": tensor \"b\": [SX04] the index lists it in 1.bin, but the shard does not contain it");
}

TEST(OpenSharded, WT04_two_shards_with_the_same_tensor) {
  Folder folder;
  folder.write("1.bin", torch_file("a"));
  folder.write(
      "2.bin", made::torch_zip(made::dict({{"a", made::vector("0", 2)}, {"b", made::vector("0", 2)}}), {{"0", kTwo}}));
  EXPECT_THAT(refusal([&] { open(folder.write("i", index({{"a", "1.bin"}, {"b", "2.bin"}}))); }),
      HasSubstr("i: tensor \"a\": [WT04]"));
}

TEST(OpenSharded, NamesTheShardThatIsMissingOrNotAModel) {
  Folder folder;
  EXPECT_THAT(refusal([&] { open(folder.write("i", index({{"a", "1.bin"}}))); }),
      HasSubstr("i: names the shard \"1.bin\", which does not exist"));
  folder.write("1.bin", "version https://git-lfs.github.com/spec/v1\n");
  EXPECT_THAT(refusal([&] { open(folder / "i"); }), HasSubstr("1.bin: not a model file: a git-LFS pointer"));
}

TEST(OpenSharded, RefusesAnIndexThatNamesItself) {
  Folder folder;
  EXPECT_THAT(refusal([&] { open(folder.write("i.bin", index({{"a", "i.bin"}}))); }),
      HasSubstr("not a model file: a JSON file"));
  std::filesystem::create_directory(folder / "sub.bin");
  EXPECT_THAT(refusal([&] { open(folder.write("j", index({{"a", "sub.bin"}}))); }),
      HasSubstr("sub.bin: is a folder, not a file"));
}

TEST(OpenSharded, OpensShardsInSubfoldersButNotInHiddenFolders) {
  Folder folder;
  folder.write("sub/1.bin", torch_file("a"));
  folder.write(".hidden/1.bin", torch_file("a"));
  EXPECT_EQ(opened(folder.write("i", index({{"a", "sub/1.bin"}}))), "torch zip, sharded: a");
  EXPECT_THAT(refusal([&] { open(folder.write("j", index({{"a", ".hidden/1.bin"}}))); }), HasSubstr("does not exist"));
}

TEST(OpenSharded, OpensOnlyFilesWithTheNameOfAWeightsFile) {
  Folder folder;
  folder.write("id_rsa", torch_file("a"));
  const Error error = error_of([&] { open(folder.write("i", index({{"a", "id_rsa"}}))); });
  EXPECT_EQ(error.code(), Code::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("i: names the shard \"id_rsa\", which does not have a weights file extension"));
}

TEST(OpenSharded, FollowsLinksOnlyBelowTheFolderAndToTheBlobsOfTheHubCache) {
  Folder folder;
  namespace fs = std::filesystem;
  const auto in_cache = [&](const std::string& path) { return folder / "models--org--name" / path; };
  put(in_cache("blobs/abc"), torch_file("a"));
  put(in_cache("snapshots/c0ffee/unet/i.json"), index({{"a", "1.bin"}}));
  fs::create_symlink("../../../blobs/abc", in_cache("snapshots/c0ffee/unet/1.bin"));
  EXPECT_EQ(opened(in_cache("snapshots/c0ffee/unet/i.json")), "torch zip, sharded: a");

  put(folder / "m/real/1.bin", torch_file("a"));
  put(folder / "m/i", index({{"a", "below.bin"}}));
  fs::create_symlink("real/1.bin", folder / "m/below.bin");
  EXPECT_EQ(opened(folder / "m/i"), "torch zip, sharded: a");

  folder.write("private.bin", torch_file("a"));
  fs::create_symlink(folder / "private.bin", folder / "m/outside.bin");
  put(folder / "m/j", index({{"a", "outside.bin"}}));
  const Error error = error_of([&] { open(folder / "m/j"); });
  EXPECT_EQ(error.code(), Code::unsafe);
  EXPECT_THAT(error.what(), HasSubstr("outside.bin: is a link to a file outside of the model's folder"));
}

TEST(OpenSharded, OpensOnlyRegularFiles) {
  Folder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo.bin").c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { open(folder.write("i", index({{"a", "fifo.bin"}}))); }).code(), Code::unsupported);
  // A link of /proc leads to an open file without a name.
  const os::FileDescriptor secret = os::open_file(folder.write("secret", torch_file("a")), O_RDONLY);
  std::filesystem::create_symlink("/proc/self/fd/" + std::to_string(secret.get()), folder / "magic.bin");
  std::filesystem::remove(folder / "secret");
  EXPECT_THAT(refusal([&] { open(folder.write("j", index({{"a", "magic.bin"}}))); }), HasSubstr("does not exist"));
}

TEST(OpenSharded, OpensTheFileThatWasListed) {
  Folder folder;
  folder.write("1.bin", torch_file("a"));
  folder.write("2.bin", torch_file("a"));
  const Model model = find_model(folder.write("i", index({{"a", "1.bin"}})));
  std::filesystem::rename(folder / "2.bin", folder / "1.bin");
  EXPECT_THAT(refusal([&] { open(model); }), HasSubstr("1.bin: the file was replaced after the folder was listed"));
  std::filesystem::remove(folder / "1.bin");
  folder.write("3.bin", torch_file("a"));
  std::filesystem::create_symlink("3.bin", folder / "1.bin");
  EXPECT_EQ(error_of([&] { open(model); }).code(), Code::io) << "a link is not followed when the file is opened";
}

TEST(Scan, ReadsTheHeaderOfASafetensorsFile) {
  Folder folder;
  EXPECT_EQ(scan::scan(folder.write("good", safetensors_file("a"))).verdict, scan::Verdict::tensors_only);
  EXPECT_EQ(scan::scan(folder.write("cut", safetensors_file("a").substr(0, 40))).verdict, scan::Verdict::unreadable);
  EXPECT_EQ(
      scan::scan(folder.write("evil", made::pickle(made::named("os", "system")))).verdict, scan::Verdict::has_code);
  EXPECT_EQ(error_of([&] { scan::scan(folder / "gone"); }).code(), Code::not_found);
}

}  // namespace
}  // namespace depickle::weights
