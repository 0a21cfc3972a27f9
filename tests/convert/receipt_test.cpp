#include "depickle/convert/receipt.h"

#include <gmock/gmock.h>

#include "depickle/base/sha256.h"
#include "depickle/convert/convert.h"
#include "depickle/convert/verify.h"
#include "tests/convert/made.h"
#include "torch_file.h"

namespace depickle::convert {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// A folder with a converted file and its receipt.
struct Converted {
  Folder folder;
  Converted() {
    put(folder / "in/x.bin", TorchFile()
                                 .tensor("head", {1, 2})
                                 .view("lm_head.weight", 0, {2}, {1})
                                 .view("t", 0, {1, 2}, {5, 1})
                                 .number("epoch", 7)
                                 .zip());
    put(folder / "out/.keep", "");
    convert_file(folder / "in/x.bin", folder / "out/x.safetensors", {.receipt = folder / "receipt.json", .threads = 2});
  }
  Verification verified() const { return verify(folder / "receipt.json"); }
  std::string first_mismatch() const {
    Verification verification = verified();
    if (verification.mismatches.empty()) return "passed";
    const Mismatch& mismatch = verification.mismatches.front();
    return mismatch.file + (mismatch.tensor.empty() ? "" : ", " + mismatch.tensor) + ": " + mismatch.what;
  }
};

TEST(Receipt, It_contains_files_tensors_and_digests) {
  Converted converted;
  Receipt receipt = read_receipt(converted.folder / "receipt.json");
  ASSERT_THAT(receipt.conversions, SizeIs(1));
  const Conversion& conversion = receipt.conversions[0];
  ASSERT_THAT(conversion.sources, SizeIs(1));
  EXPECT_EQ(conversion.sources[0].path, "in/x.bin");
  EXPECT_EQ(conversion.sources[0].sha256, sha256_hex(bytes(content_of(converted.folder / "in/x.bin"))));
  EXPECT_EQ(conversion.target.path, "out/x.safetensors");
  EXPECT_EQ(conversion.target.sha256, sha256_hex(bytes(content_of(converted.folder / "out/x.safetensors"))));
  EXPECT_EQ(conversion.container, "torch zip");
  ASSERT_THAT(conversion.tensors, SizeIs(2));
  EXPECT_EQ(conversion.tensors[0].name, "head");
  EXPECT_THAT(conversion.tensors[0].shape, ElementsAre(2));
  const float values[] = {1, 2};
  EXPECT_EQ(conversion.tensors[0].sha256, sha256_hex(std::as_bytes(std::span(values))));
  ASSERT_THAT(conversion.aliases, SizeIs(1));
  EXPECT_EQ(conversion.aliases[0].name, "lm_head.weight");
  ASSERT_THAT(conversion.unused, SizeIs(1));
  EXPECT_EQ(conversion.unused[0].path, "epoch");
}

TEST(Receipt, It_contains_a_sharded_model_and_its_index) {
  Folder folder;
  put(folder / "pytorch_model-00001-of-00002.bin", TorchFile().tensor("a", {1, 2}).zip());
  put(folder / "pytorch_model-00002-of-00002.bin", TorchFile().tensor("b", {3}).zip());
  put(folder / "pytorch_model.bin.index.json",
      R"({"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}})");
  convert_folder(folder.path(), folder.path(), {.receipt = folder / "receipt.json"});
  Receipt receipt = read_receipt(folder / "receipt.json");
  EXPECT_THAT(receipt.conversions, SizeIs(2));
  ASSERT_THAT(receipt.indexes, SizeIs(1));
  EXPECT_EQ(receipt.indexes[0].path, "model.safetensors.index.json");
  Verification verification = verify(folder / "receipt.json");
  EXPECT_TRUE(verification.passed());
  EXPECT_EQ(verification.files, 5u);
  EXPECT_EQ(verification.tensors, 2u);
}

TEST(Receipt, Without_a_conversion_no_receipt_is_written) {
  Folder folder;
  convert_folder(folder.path(), folder.path(), {.receipt = folder / "receipt.json"});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Verify, An_unchanged_conversion_passes) {
  Converted converted;
  Verification verification = converted.verified();
  EXPECT_TRUE(verification.passed());
  EXPECT_THAT(verification.notes, IsEmpty());
  EXPECT_EQ(verification.files, 2u);
  EXPECT_EQ(verification.tensors, 2u);
}

TEST(Verify, A_moved_folder_passes) {
  Converted converted;
  Folder other;
  std::filesystem::rename(converted.folder.path(), other / "moved");
  EXPECT_TRUE(verify(other / "moved/receipt.json").passed());
}

TEST(Verify, A_missing_source_is_a_note) {
  Converted converted;
  std::filesystem::remove(converted.folder / "in/x.bin");
  Verification verification = converted.verified();
  EXPECT_TRUE(verification.passed());
  EXPECT_THAT(verification.notes, ElementsAre("in/x.bin does not exist: only the target was checked"));
}

TEST(Verify, A_target_that_is_gone_is_a_flaw) {
  Converted converted;
  std::filesystem::remove(converted.folder / "out/x.safetensors");
  EXPECT_EQ(converted.first_mismatch(), "out/x.safetensors: the file is missing");
}

TEST(Verify, A_changed_bit_is_a_mismatch_of_file_and_tensor) {
  Converted converted;
  std::string target = content_of(converted.folder / "out/x.safetensors");
  target.back() ^= 1;
  put(converted.folder / "out/x.safetensors", target);
  Verification verification = converted.verified();
  ASSERT_THAT(verification.mismatches, SizeIs(3));
  EXPECT_EQ(verification.mismatches[0].tensor, "");
  EXPECT_THAT(verification.mismatches[0].what, HasSubstr("sha256 is"));
  EXPECT_EQ(verification.mismatches[1].tensor, "t");
  EXPECT_THAT(verification.mismatches[1].what, HasSubstr("sha256 is"));
  EXPECT_THAT(verification.mismatches[2].what, HasSubstr("in the source and"));
}

TEST(Verify, A_changed_source_is_a_flaw) {
  Converted converted;
  put(converted.folder / "in/x.bin", content_of(converted.folder / "in/x.bin") + "x");
  EXPECT_THAT(converted.first_mismatch(), HasSubstr("in/x.bin: the file has"));
}

TEST(Verify, A_target_that_is_no_model_is_a_flaw) {
  Converted converted;
  put(converted.folder / "out/x.safetensors", "nothing");
  EXPECT_FALSE(converted.verified().passed());
}

TEST(Verify, A_forged_tensor_digest_is_a_mismatch) {
  Converted converted;
  std::string json = content_of(converted.folder / "receipt.json");
  size_t at = json.find("\"sha256\"", json.find("\"tensors\"")) + 12;
  json[at] = json[at] == '0' ? '1' : '0';
  put(converted.folder / "receipt.json", json);
  EXPECT_THAT(converted.first_mismatch(), HasSubstr("out/x.safetensors, head: sha256 is"));
}

TEST(ReceiptParse, Every_prefix_and_every_changed_byte_is_parsed_or_refused) {
  Converted converted;
  const std::string json = content_of(converted.folder / "receipt.json");
  for (size_t i = 0; i < json.size() - 1; ++i) EXPECT_THROW(parse_receipt(json.substr(0, i)), Error) << i;
  for (size_t i = 0; i < json.size(); ++i) {
    std::string changed = json;
    changed[i] = static_cast<char>(changed[i] ^ 0x15);
    try {
      parse_receipt(changed);
    } catch (const Error&) {
    }
  }
}

std::string parse_error(std::string_view json) {
  const Error error = error_of([&] { parse_receipt(json); });
  return error.rule() == "accepted" ? "" : error.what();
}

TEST(ReceiptParse, Errors_name_the_wrong_member) {
  EXPECT_EQ(parse_error(R"({"schema": "depickle.receipt/2"})"),
      R"(receipt schema "depickle.receipt/2" is not supported (supported: depickle.receipt/1))");
  EXPECT_EQ(parse_error("{}"), R"(not a receipt: "schema" is missing or has the wrong type)");
  EXPECT_EQ(parse_error(R"({"schema": "x"})"), R"(not a receipt: its schema is "x", expected "depickle.receipt/1")");
  auto with_tensor = [](std::string tensor) {
    const std::string file = R"({"file": "f", "bytes": 1, "sha256": ")" + std::string(64, '0') + "\"}";
    return parse_error(R"({"schema": "depickle.receipt/1", "tool": {"version": "0"}, "indexes": [], "conversions": [)"
                       R"({"sources": [], "target": )" +
                       file +
                       R"(, "container": "", "root": "", "aliases": [], "leftovers": [], "skipped": [], "tensors": [)" +
                       tensor + "]}]}");
  };
  EXPECT_EQ(with_tensor(""), "");
  EXPECT_EQ(with_tensor("5"), R"(not a receipt: "tensors" contains a value that is not an object)");
  EXPECT_EQ(with_tensor(R"({"name": "w", "dtype": "F33", "shape": [], "bytes": 4})"),
      R"(not a receipt: tensor "w" has the unknown dtype "F33")");
  EXPECT_EQ(with_tensor(R"({"name": "w", "dtype": "F32", "shape": [-1], "bytes": 4})"),
      R"(not a receipt: the shape of tensor "w" contains a value that is not a size)");
  EXPECT_EQ(with_tensor(R"({"name": "w", "dtype": "F32", "shape": [18446744073709551615, 2], "bytes": 4})"),
      R"(not a receipt: the size of tensor "w" does not match its shape (4 bytes))");
  EXPECT_THAT(with_tensor(R"({"name": "w", "dtype": "F32", "shape": [1], "bytes": 4, "sha256": "AB"})"),
      HasSubstr("not 64 hexadecimal digits"));
}

}  // namespace
}  // namespace depickle::convert
