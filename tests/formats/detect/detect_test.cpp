// Kinds of files by content and by name, and the errors for files that are not models.
#include <gmock/gmock.h>

#include "depickle/formats/detect/describe.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/detect/file_name.h"

namespace depickle::detect {
namespace {

using namespace std::literals;
using testing::HasSubstr;

const std::string kLegacyNumber = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."s;

// The length of a header, little-endian, then the header.
std::string safetensors(uint64_t header_bytes, const std::string& header) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(header_bytes >> (8 * i));
  return out + header;
}

// The first block of a ustar archive, with the right checksum plus `error`.
std::string tar(unsigned error = 0) {
  std::string block(512, '\0');
  block.replace(0, 1, "a");
  block.replace(257, 5, "ustar");
  block.replace(148, 8, "        ");
  unsigned sum = error;
  for (char c : block) sum += static_cast<unsigned char>(c);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  return block.replace(148, 7, std::string(digits, 7));
}

TEST(FileKind, Is_decided_by_the_first_bytes) {
  const std::vector<std::pair<std::string, FileKind>> kinds = {
      {"", FileKind::empty},
      {"PK\x03\x04"s, FileKind::zip},
      {"PK\x03"s, FileKind::unknown},
      {"PK\x05\x06"s, FileKind::empty_zip},
      {"\x80\x02" + kLegacyNumber, FileKind::torch_legacy},
      {"\x80\x03" + kLegacyNumber, FileKind::torch_legacy},
      {"\x80\x04\x95\x0d" + std::string(7, '\0') + kLegacyNumber, FileKind::torch_legacy},
      {"\x80\x05\x95\x0d" + std::string(7, '\0') + kLegacyNumber, FileKind::torch_legacy},
      {"L119547037146038801333356L\n.", FileKind::torch_legacy},
      {"\x80\x04" + kLegacyNumber, FileKind::pickle},  // a frame is missing
      {"\x80\x02\x8a\x0al\xfc"s, FileKind::pickle},
      {tar(), FileKind::tar},
      {tar(1), FileKind::unknown},
      {tar().substr(0, 511), FileKind::unknown},
      {"\x80\x02}."s, FileKind::pickle},
      {"\x80\x05}."s, FileKind::pickle},
      {"\x80\0}."s, FileKind::pickle},
      {"\x80\x06}."s, FileKind::unknown},
      {"\x80"s, FileKind::unknown},
      {"(dp0\n.", FileKind::plain_pickle},
      {"(lp0\n.", FileKind::plain_pickle},
      {"}.", FileKind::plain_pickle},
      {"].", FileKind::plain_pickle},
      {").", FileKind::plain_pickle},
      {"Vtext\n.", FileKind::plain_pickle},
      {"cos\nsystem\n.", FileKind::plain_pickle},
      {"c o\n", FileKind::unknown},
      {"chapter", FileKind::unknown},
      {"S'text'\n.", FileKind::plain_pickle},
      {"Stext", FileKind::unknown},
      {"I01\n.", FileKind::plain_pickle},
      {"L-1L\n.", FileKind::plain_pickle},
      {"Imagine", FileKind::unknown},
      {safetensors(2, "{}"), FileKind::safetensors},
      {safetensors(10, " \n {}"), FileKind::safetensors},
      {safetensors(640, "{}" + std::string(638, ' ')), FileKind::safetensors},  // 80 02: begins as a pickle
      {safetensors(100'000'000, "{}"), FileKind::safetensors},
      {safetensors(100'000'001, "{}"), FileKind::unknown},
      {safetensors(2, "[]"), FileKind::unknown},
      {safetensors(2, ""), FileKind::unknown},
      {"{}", FileKind::json_object},
      {" \n{\"weight_map\": {}}", FileKind::json_object},
      {"[1]", FileKind::json_array},
      {"version https://git-lfs.github.com/spec/v1\n", FileKind::lfs_pointer},
      {"<!DOCTYPE html>", FileKind::web_page},
      {" \n<HTML>", FileKind::web_page},
      {"<head>", FileKind::web_page},
      {"<?xml version=\"1.0\"?>", FileKind::xml},
      {"<Error><Code>AccessDenied", FileKind::xml},
      {"Entry not found", FileKind::hub_error},
      {"Repository not found", FileKind::hub_error},
      {"Invalid username or password.", FileKind::hub_error},
      {"Access to model a/b is restricted", FileKind::hub_error},
      {"\x1f\x8b\x08"s, FileKind::gzip},
      {"7z\xbc\xaf\x27\x1c"s, FileKind::seven_zip},
      {"\x28\xb5\x2f\xfd"s, FileKind::zstd},
      {"\xfd"
       "7zXZ\0"s,
          FileKind::xz},
      {"BZh9", FileKind::bzip2},
      {"Rar!\x1a\x07"s, FileKind::rar},
      {"GGUF\3\0\0\0"s, FileKind::gguf},
      {"\x93NUMPY\1\0"s, FileKind::npy},
      {"\x89HDF\r\n\x1a\n"s, FileKind::hdf5},
      {"PYTORCH1"s, FileKind::torch_preview},
      {"\x89PNG\r\n"s, FileKind::png},
      {"\x7f"
       "ELF"s,
          FileKind::elf},
      {"# Title", FileKind::unknown},
      {"\xde\xad"s, FileKind::unknown},
  };
  for (const auto& [content, kind] : kinds)
    EXPECT_EQ(file_kind(bytes(content)), kind) << testing::PrintToString(content.substr(0, 60));
}

TEST(FileKind, Does_not_depend_on_bytes_after_the_head) {
  const std::string spaces = safetensors(1000, std::string(kHeadBytes, ' ') + "{}");
  EXPECT_EQ(file_kind(bytes(spaces)), FileKind::unknown);
  EXPECT_EQ(file_kind(MemorySource("f", bytes(spaces))), FileKind::unknown);
  EXPECT_EQ(file_kind(bytes(tar() + "more")), FileKind::tar);
}

TEST(FileKind, Begins_with_proto_does_not_exclude_other_kinds) {
  EXPECT_TRUE(begins_with_proto(bytes("\x80\x02" + kLegacyNumber)));
  EXPECT_TRUE(begins_with_proto(bytes(safetensors(640, "{}"))));
  EXPECT_TRUE(begins_with_proto(bytes("\x80\0"sv)));
  EXPECT_FALSE(begins_with_proto(bytes("\x80\x06"sv)));
  EXPECT_FALSE(begins_with_proto(bytes("\x80"sv)));
}

struct NameCase {
  std::string_view name;
  bool pickle, safetensors, index, weights;
};

TEST(FileName, Answers_from_the_ending) {
  const NameCase cases[] = {
      {"model.safetensors", false, true, false, true},
      {"a/b.SafeTensors", false, true, false, true},
      {"a/b.bin", true, false, false, true},
      {"MODEL.BIN", true, false, false, true},
      {"x.pt", true, false, false, true},
      {"x.pth", true, false, false, true},
      {"x.ckpt", true, false, false, true},
      {"x.pth.tar", true, false, false, true},
      {"x.pkl", true, false, false, true},
      {"x.pickle", true, false, false, true},
      {"x.ptl", true, false, false, true},
      {"x.joblib", true, false, false, true},
      {".pkl", true, false, false, true},
      {"x.tar", false, false, false, false},
      {"tf_model.h5", false, false, false, true},
      {"flax_model.msgpack", false, false, false, true},
      {"onnx/model.onnx", false, false, false, true},
      {"model.gguf", false, false, false, true},
      {"x.npz", false, false, false, true},
      {"model.safetensors.index.json", false, false, true, true},
      {"pytorch_model.bin.index.fp16.json", false, false, true, true},
      {"a.bin.index.x/config.json", false, false, false, false},
      {"config.json", false, false, false, false},
      {"index.json", false, false, false, false},
      {"tokenizer.model", false, false, false, false},
      {"README.md", false, false, false, false},
      {"binary", false, false, false, false},
      {"spiece.bin.txt", false, false, false, false},
      {"", false, false, false, false},
  };
  for (const NameCase& expected : cases) {
    EXPECT_EQ(is_pickle_name(expected.name), expected.pickle) << expected.name;
    EXPECT_EQ(is_safetensors_name(expected.name), expected.safetensors) << expected.name;
    EXPECT_EQ(is_index_name(expected.name), expected.index) << expected.name;
    EXPECT_EQ(is_weights_name(expected.name), expected.weights) << expected.name;
    EXPECT_EQ(is_model_file_name(expected.name), expected.weights || expected.name.ends_with(".json")) << expected.name;
  }
}

TEST(FileName, Tells_the_indexes_apart) {
  EXPECT_TRUE(is_safetensors_index_name("a/model.safetensors.index.fp16.json"));
  EXPECT_FALSE(is_safetensors_index_name("pytorch_model.bin.index.json"));
  EXPECT_FALSE(is_safetensors_index_name("a.safetensors.index.b/pytorch_model.bin.index.json")) << "only the last part";
}

TEST(FileName, Recognizes_code_and_settings) {
  EXPECT_TRUE(is_code_name("modeling_x.py"));
  EXPECT_TRUE(is_code_name("RUN.SH"));
  EXPECT_FALSE(is_code_name("x.pyx"));
  EXPECT_TRUE(is_config_name("config.json"));
  EXPECT_TRUE(is_config_name(".gitattributes"));
  EXPECT_FALSE(is_config_name("README.md"));
  EXPECT_TRUE(is_pkl_name("archive/DATA.PKL"));
  EXPECT_FALSE(is_pkl_name("archive/data.pickle"));
}

TEST(FileName, A_checkpoint_has_a_stem) {
  EXPECT_EQ(checkpoint_stem("a/pytorch_model.bin"), "a/pytorch_model");
  EXPECT_EQ(checkpoint_stem("x.pth.tar"), "x");
  EXPECT_EQ(checkpoint_stem("x.CKPT"), "x");
  for (const char* name : {"a/.bin", ".pth.tar", "x.pkl", "x.safetensors", "bin", "a.bin/x"})
    EXPECT_EQ(checkpoint_stem(name), std::nullopt) << name;
}

Error error_for(const std::string& content) { return not_a_model(MemorySource("f", bytes(content))); }
std::string described(const std::string& content) {
  const auto description = describe(MemorySource("f", bytes(content)));
  return description ? description->what : "";
}

TEST(NotAModel, Says_what_the_file_is) {
  EXPECT_STREQ(error_for("").what(), "f: the file is empty");
  EXPECT_EQ(error_for("").code(), Code::truncated);
  const Error pointer = error_for("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 548118077\n");
  EXPECT_STREQ(pointer.what(), "f: not a model file: a git-LFS pointer (72 bytes) to 548,118,077 bytes");
  EXPECT_EQ(pointer.hint(), "fetch the content first: git lfs pull --include f");
  EXPECT_EQ(pointer.code(), Code::unsupported);
  for (auto page : {"<!DOCTYPE html>", " \n<HTML>", "<head>"})
    EXPECT_STREQ(error_for(page).what(), "f: not a model file: a web page") << page;
  EXPECT_THAT(error_for("7z\xbc\xaf\x27\x1c").what(), HasSubstr("a 7z archive"));
  EXPECT_THAT(error_for("\x1f\x8b").what(), HasSubstr("gzip"));
  EXPECT_THAT(error_for("PYTORCH1").what(), HasSubstr("the torch 1.0 preview"));
  EXPECT_THAT(error_for("\x93NUMPY").what(), HasSubstr("a NumPy array"));
  EXPECT_THAT(error_for("GGUF").what(), HasSubstr("GGUF"));
  EXPECT_THAT(error_for("{}").what(), HasSubstr("a JSON file"));
  EXPECT_THAT(error_for(safetensors(2, "{}")).what(), HasSubstr("the file is already safetensors"));
  const Error unknown = error_for("\xde\xad");
  EXPECT_STREQ(unknown.what(), "f: not a model file: unknown format");
  EXPECT_EQ(unknown.reason(), Reason::unknown_format);
}

TEST(Describe, Is_empty_for_the_expected_formats_and_for_weak_signs) {
  EXPECT_EQ(described(""), "an empty file");
  EXPECT_EQ(described("\x80\x02}."), "a pickle");
  EXPECT_THAT(described("PK\3\4"), HasSubstr("a zip archive"));
  EXPECT_THAT(described("\x80\x02" + kLegacyNumber), HasSubstr("a pickle"));
  for (const std::string& content :
      {safetensors(2, "{}"), safetensors(640, "{"), safetensors(128, "x"), "{"s, "["s, "(dp0\n."s, "\xde\xad"s})
    EXPECT_EQ(described(content), "") << testing::PrintToString(content);
}

// A block without "ustar", with a name and a checksum field.
std::string tar_block(std::string name, std::string_view checksum, char other = '\0') {
  std::string block(512, '\0');
  block.replace(0, name.size(), name);
  block[300] = other;
  return block.replace(148, checksum.size(), checksum);
}

TEST(TarHeader, EverySpellingThatPythonAccepts) {
  // The name "x" is 120; with the 8 blanks of the checksum, the sum is 376, octal 570.
  for (std::string_view checksum : {"000570\0 "sv, "570"sv, "  570 "sv, "0o570"sv, "+570"sv, "5_7_0"sv, "0o_570"sv,
           "\t\x1c\x0b"
           "570"sv,
           "\x80\0\0\0\0\0\1\x78"sv})
    EXPECT_TRUE(is_tar_header(bytes(tar_block("x", checksum)))) << checksum;
  for (std::string_view checksum : {"571"sv, "5__70"sv, "_570"sv, "570_"sv, "578"sv, "+ 570"sv, "0x178"sv, ""sv,
           "\x81\0\0\0\0\0\1\x78"sv, "57\xa0"sv})
    EXPECT_FALSE(is_tar_header(bytes(tar_block("x", checksum)))) << checksum;
}

TEST(TarHeader, SumsOfSignedAndUnsignedBytes) {
  EXPECT_TRUE(is_tar_header(bytes(tar_block("x", "1167", '\xff'))));  // 376 + 255
  EXPECT_TRUE(is_tar_header(bytes(tar_block("x", "567", '\xff'))));   // 376 - 1
  EXPECT_FALSE(is_tar_header(bytes(tar_block("x", "570", '\xff'))));
  std::string zero = tar_block(std::string(2, '\x80'), "");  // 256 - 2 * 128: an empty field is 0
  EXPECT_TRUE(is_tar_header(bytes(zero)));
  EXPECT_FALSE(is_tar_header(bytes(std::string(512, '\0')))) << "the end of an archive";
  EXPECT_FALSE(is_tar_header(bytes(zero.substr(0, 511))));
}

TEST(FileKind, ATarHeaderComesBeforeEveryOtherKindButZip) {
  const std::string safetensors = "\x80\2\0\0\0\0\0\0{\"a\""s;
  for (const std::string& begin : {safetensors, "\x80\2N."s, "\x93NUMPY"s}) {
    unsigned sum = 256;
    for (char c : begin) sum += static_cast<unsigned char>(c);
    char digits[8];
    std::snprintf(digits, sizeof digits, "%06o", sum);
    EXPECT_EQ(file_kind(bytes(tar_block(begin, digits))), FileKind::tar) << begin;
  }
}

TEST(NotWeights, Files_of_a_training_run_are_recognized) {
  EXPECT_EQ(not_weights("optimizer.pt"), "optimizer state");
  EXPECT_EQ(not_weights("checkpoint-500/optimizer_1.bin"), "optimizer state");
  EXPECT_EQ(not_weights("global_step1/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt"), "optimizer state");
  EXPECT_EQ(not_weights("scheduler.pt"), "learning-rate scheduler state");
  EXPECT_EQ(not_weights("training_args.bin"), "training arguments");
  EXPECT_EQ(not_weights("rng_state.pth"), "random number generator state");
  EXPECT_EQ(not_weights("rng_state_3.pth"), "random number generator state");
  EXPECT_EQ(not_weights("scaler.pt"), "gradient scaler state");
  EXPECT_EQ(not_weights("trainer_state.pt"), "trainer state");
}

TEST(NotWeights, Optimizers_and_metrics_of_projects_are_recognized) {
  for (const char* name : {"policy.optimizer.pth", "opt070000.pt", "adam_state.bin", "g_optimizer.pt", "optim.pt"})
    EXPECT_EQ(not_weights(name), "optimizer state") << name;
  for (const char* name : {"metrics.pt", "loss_history.pth", "fid_stats.pt"})
    EXPECT_EQ(not_weights(name), "metrics") << name;
}

TEST(NotWeights, Weights_with_similar_names_are_accepted) {
  for (const char* name : {"pytorch_model.bin", "optimizers_model.bin", "scheduler_net.pt", "scaler_model.pt",
           "optimizer/model.bin", "training_args_model.bin", "opt-125m.bin", "opt13.bin", "opt125m.bin", "optimal.pt",
           "stats_net.pt", "metric_model.bin", "policy.pth"})
    EXPECT_EQ(not_weights(name), "") << name;
}

}  // namespace
}  // namespace depickle::detect
