#include "tests/server/hub/store_fixture.h"

namespace depickle::server::content {
namespace {

using namespace repos;

class LfsTest : public StoreTest {
 protected:
  LfsTest() : StoreTest({.lfs_file_bytes = 1'000'000}) {}
  static size_t files_in(const std::filesystem::path& folder) {
    size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) files += entry.is_regular_file();
    return files;
  }
  std::string send_part(const std::string& oid, const std::string& whole, uint64_t chunk, uint64_t number) {
    LfsPart part = store_->lfs().part("me", oid, whole.size(), chunk, number);
    part.append(bytes(whole.substr((number - 1) * chunk, chunk)));
    return part.finish();
  }
  RepoInfo info_ = create_repo("me/demo");
  std::string whole_ = "0123456789abcdefghij!";
  std::string oid_ = sha256_hex(bytes(whole_));
};

TEST_F(LfsTest, OnlyTheUploaderCanUseAnUpload) {
  EXPECT_FALSE(store_->lfs().usable("me", info_.key, oid_));
  EXPECT_EQ(uploaded(whole_, me_), oid_);
  EXPECT_TRUE(store_->lfs().usable("me", info_.key, oid_));
  EXPECT_FALSE(store_->lfs().usable("other", info_.key, oid_));
  EXPECT_FALSE(store_->lfs().readable(info_.key, oid_, ""));
  EXPECT_EQ(file_text(*store_->lfs().readable(info_.key, oid_, "me")), whole_);
  commit(info_, "x", AddLfsFile{"w.bin", oid_, std::nullopt});
  EXPECT_TRUE(store_->lfs().usable("other", info_.key, oid_));
  EXPECT_TRUE(store_->lfs().readable(info_.key, oid_, ""));
  EXPECT_FALSE(store_->lfs().readable(create_repo("me/other").key, oid_, ""));
}

TEST_F(LfsTest, AWrongHashIsRefusedAndLeavesNoFile) {
  EXPECT_TRUE(refuses(
      StoreReason::malformed,
      [&] {
        LfsUpload upload = store_->lfs().upload("me", std::string(64, 'a'), whole_.size());
        upload.append(bytes(whole_));
        upload.finish();
      },
      "does not match its oid"));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] {
    LfsUpload upload = store_->lfs().upload("me", oid_, whole_.size() + 1);
    upload.append(bytes(whole_));
    upload.finish();
  }));
  EXPECT_TRUE(refuses(StoreReason::too_large, [&] {
    LfsUpload upload = store_->lfs().upload("me", oid_, 3);
    upload.append(bytes(whole_));
  }));
  EXPECT_TRUE(refuses(StoreReason::too_large, [&] { store_->lfs().upload("me", oid_, 1'000'001); }));
  for (const char* oid : {"../../../etc/passwd", "ABCD", "a"})
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { store_->lfs().upload("me", oid, 1); }));
  EXPECT_EQ(files_in(store_->folder() / "lfs") + files_in(store_->folder() / "tmp"), 0u);
  EXPECT_FALSE(store_->lfs().size_of(oid_));
}

TEST_F(LfsTest, PartsMayArriveInAnyOrderAndSurviveARestart) {
  send_part(oid_, whole_, 10, 3);
  send_part(oid_, whole_, 10, 1);
  reopen();
  EXPECT_TRUE(store_->lfs().has_part("me", oid_, 10, 3));
  EXPECT_FALSE(store_->lfs().has_part("me", oid_, 10, 2));
  EXPECT_TRUE(refuses(
      StoreReason::malformed, [&] { store_->lfs().complete("me", oid_, whole_.size(), 10); }, "parts are missing"));
  EXPECT_EQ(send_part(oid_, whole_, 10, 2), sha256_hex(bytes(whole_.substr(10, 10))));
  send_part(oid_, whole_, 10, 2);
  store_->lfs().complete("me", oid_, whole_.size(), 10);
  EXPECT_EQ(file_text(*store_->lfs().readable(info_.key, oid_, "me")), whole_);
  EXPECT_EQ(files_in(store_->folder() / "parts"), 0u);
}

TEST_F(LfsTest, PartsWithAWrongHashAreRefusedAndLeaveNoFile) {
  std::string other(whole_.size(), 'z');
  for (uint64_t number : {1, 2, 3}) send_part(oid_, other, 10, number);
  EXPECT_TRUE(refuses(
      StoreReason::malformed, [&] { store_->lfs().complete("me", oid_, whole_.size(), 10); },
      "does not match its oid"));
  EXPECT_EQ(
      files_in(store_->folder() / "lfs") + files_in(store_->folder() / "tmp") + files_in(store_->folder() / "parts"),
      0u);
  for (uint64_t number : {0, 4})
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { store_->lfs().part("me", oid_, 21, 10, number); }));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { store_->lfs().part("me", oid_, 900'000, 1, 1); }));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { store_->lfs().part("me", oid_, 21, 0, 1); }));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { store_->lfs().part("me", oid_, 21, 10, 1).finish(); }));
  EXPECT_TRUE(refuses(StoreReason::too_large, [&] { store_->lfs().part("me", oid_, 21, 10, 3).append(bytes("xx")); }));
}

TEST_F(LfsTest, ASpoolReturnsItsContent) {
  std::string text(200'000, 'x');
  text[70'000] = 'y';
  Spool spool = store_->spool();
  for (size_t at = 0; at < text.size(); at += 999) spool.append(bytes(text.substr(at, 999)));
  EXPECT_EQ(spool.size_bytes(), text.size());
  EXPECT_EQ(spool.all(), text);
  Spool small(store_->folder() / "tmp", 3);
  EXPECT_TRUE(refuses(StoreReason::too_large, [&] { small.append(bytes("four")); }));
}

}  // namespace
}  // namespace depickle::server::content
