// Remote files: only the bytes that are needed are read, and local headers are checked when their record is read.
#include <gmock/gmock.h>

#include "depickle/formats/torch/table.h"
#include "tests/convert/torch_file.h"
#include "tests/scan/judged.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;

// Counts the reads and their bytes.
class RemoteSource final : public ByteSource {
 public:
  explicit RemoteSource(std::string file) : ByteSource("remote.bin"), file_(std::move(file)) {}
  uint64_t size_bytes() const noexcept override { return file_.size(); }
  bool is_remote() const noexcept override { return true; }
  uint64_t reads() const { return reads_; }
  uint64_t read_bytes() const { return read_bytes_; }

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override {
    ++reads_;
    read_bytes_ += length;
    return depickle::bytes(file_).subspan(offset, length);
  }
  std::string file_;
  mutable uint64_t reads_ = 0, read_bytes_ = 0;
};

std::string checkpoint() {
  convert::TorchFile file;
  for (int i = 0; i < 100; ++i)
    file.tensor("layer." + std::to_string(i), std::vector<float>(4096, 0.5f + static_cast<float>(i)));
  return file.zip();
}

std::string error_of_bytes(const Storage& storage) {
  try {
    storage.bytes();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(RemoteArchive, IsReadWithoutItsStorages) {
  const std::string file = checkpoint();
  auto source = std::make_shared<RemoteSource>(file);
  Table table = read_table(source);
  EXPECT_EQ(table.tensors.size(), 100u);
  EXPECT_GT(file.size(), 100u * 4096 * 4);
  EXPECT_LT(source->reads(), 20u) << "the directory and the pickle, not a hundred local headers";
  EXPECT_LT(source->read_bytes(), 128u << 10);
}

TEST(RemoteArchive, HasTheSameBytes) {
  const std::string file = checkpoint();
  Table local_table = read_table(source_of(file)), remote_table = read_table(std::make_shared<RemoteSource>(file));
  ASSERT_EQ(local_table.storages.size(), remote_table.storages.size());
  for (size_t i = 0; i < local_table.storages.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(local_table.storages[i].bytes(), remote_table.storages[i].bytes())) << i;
  EXPECT_TRUE(remote_table.notes == local_table.notes)
      << "the bytes between the records are not read, so there is no note about them";
}

TEST(RemoteArchive, IsScannedWithoutItsStorages) {
  auto source = std::make_shared<RemoteSource>(checkpoint());
  scan::Scan seen = scan::scan_pickles(source);
  EXPECT_EQ(seen.verdict, scan::Verdict::tensors_only);
  EXPECT_LT(source->reads(), 30u) << "not every storage";
  EXPECT_THAT(seen.notes, testing::Contains(HasSubstr("download it to scan all of its bytes")));
  EXPECT_EQ(
      scan::scan_pickles(std::make_shared<RemoteSource>(torch_zip(call("posix", "system", {text("x")}), {}))).verdict,
      scan::Verdict::has_code);
}

TEST(RemoteLegacyFile, IsReadWithoutItsStorages) {
  const std::string whole = tensor(storage("FloatStorage", "0", 1 << 20, kNone), {1 << 20}, {1});
  const std::string file = legacy(dict({{"w", whole}}), {{"0", 1 << 20, std::string(4 << 20, 'x')}});
  auto source = std::make_shared<RemoteSource>(file);
  EXPECT_EQ(listed(read_table(source)), listed(table_of(file)));
  EXPECT_LT(source->read_bytes(), 2u << 20);
}

TEST(RemoteArchive, RefusesAWrongLocalHeaderWhenItsRecordIsRead) {
  std::string file = checkpoint();
  file[local(file, 9) + 18] ^= 1;  // the stored size of storage 7, after data.pkl and byteorder
  EXPECT_THAT(refusal(file), HasSubstr("[ZP05]"));
  Table remote_table = read_table(std::make_shared<RemoteSource>(file));
  auto wrong = std::ranges::find(remote_table.storages, "7", &Storage::key);
  ASSERT_NE(wrong, remote_table.storages.end());
  EXPECT_THAT(error_of_bytes(*wrong), HasSubstr("remote.bin"));
  EXPECT_THAT(error_of_bytes(*wrong), HasSubstr("[ZP05]")) << "on every read";
}

}  // namespace
}  // namespace depickle::torch
