// Archives whose every byte costs a round trip: only what is needed is read, and a lie is found where it is read.
#include <gmock/gmock.h>

#include "depickle/formats/torch/table.h"
#include "tests/convert/torch_file.h"
#include "tests/scan/judged.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;

// A file far away, which counts how often it is asked, and for how much.
class Distant final : public ByteSource {
 public:
  explicit Distant(std::string file) : ByteSource("far.bin"), file_(std::move(file)) {}
  uint64_t size_bytes() const noexcept override { return file_.size(); }
  bool is_remote() const noexcept override { return true; }
  uint64_t looks() const { return looks_; }
  uint64_t asked_bytes() const { return asked_bytes_; }

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override {
    ++looks_;
    asked_bytes_ += length;
    return depickle::bytes(file_).subspan(offset, length);
  }
  std::string file_;
  mutable uint64_t looks_ = 0, asked_bytes_ = 0;
};

std::string checkpoint() {
  convert::TorchFile file;
  for (int i = 0; i < 100; ++i)
    file.tensor("layer." + std::to_string(i), std::vector<float>(4096, 0.5f + static_cast<float>(i)));
  return file.zip();
}

std::string error_of(const Storage& storage) {
  try {
    storage.bytes();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ADistantArchive, IsReadWithoutItsStorages) {
  const std::string file = checkpoint();
  auto distant = std::make_shared<Distant>(file);
  Table table = read_table(distant);
  EXPECT_EQ(table.tensors.size(), 100u);
  EXPECT_GT(file.size(), 100u * 4096 * 4);
  EXPECT_LT(distant->looks(), 20u) << "the directory and the pickle, not a hundred local headers";
  EXPECT_LT(distant->asked_bytes(), 128u << 10);
}

TEST(ADistantArchive, HoldsTheSameBytes) {
  const std::string file = checkpoint();
  Table near = read_table(source_of(file)), far = read_table(std::make_shared<Distant>(file));
  ASSERT_EQ(near.storages.size(), far.storages.size());
  for (size_t i = 0; i < near.storages.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(near.storages[i].bytes(), far.storages[i].bytes())) << i;
  EXPECT_TRUE(far.notes == near.notes) << "what lies between the records is not known, so nothing is said of it";
}

TEST(ADistantArchive, IsScannedByItsPickles) {
  auto distant = std::make_shared<Distant>(checkpoint());
  scan::Scan seen = scan::scan_pickles(distant);
  EXPECT_EQ(seen.verdict, scan::Verdict::tensors_only);
  EXPECT_LT(distant->looks(), 30u) << "not each storage";
  EXPECT_THAT(seen.notes, testing::Contains(HasSubstr("only a download shows")));
  EXPECT_EQ(scan::scan_pickles(std::make_shared<Distant>(torch_zip(call("posix", "system", {text("x")}), {}))).verdict,
      scan::Verdict::has_code);
}

TEST(ADistantLegacyFile, IsReadWithoutItsStorages) {
  const std::string whole = tensor(storage("FloatStorage", "0", 1 << 20, kNone), {1 << 20}, {1});
  const std::string file = legacy(dict({{"w", whole}}), {{"0", 1 << 20, std::string(4 << 20, 'x')}});
  auto distant = std::make_shared<Distant>(file);
  EXPECT_EQ(listed(read_table(distant)), listed(table_of(file)));
  EXPECT_LT(distant->asked_bytes(), 2u << 20);
}

TEST(ADistantArchive, RefusesALyingLocalHeaderWhenItsRecordIsRead) {
  std::string file = checkpoint();
  file[local(file, 9) + 18] ^= 1;  // the stored size of storage 7, behind data.pkl and byteorder
  EXPECT_THAT(refusal(file), HasSubstr("[ZP05]"));
  Table far = read_table(std::make_shared<Distant>(file));
  auto lying = std::ranges::find(far.storages, "7", &Storage::key);
  ASSERT_NE(lying, far.storages.end());
  EXPECT_THAT(error_of(*lying), HasSubstr("far.bin"));
  EXPECT_THAT(error_of(*lying), HasSubstr("[ZP05]")) << "each time";
}

}  // namespace
}  // namespace depickle::torch
