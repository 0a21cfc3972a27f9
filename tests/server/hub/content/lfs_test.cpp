#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "server/hub/repos/garbage.h"
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

TEST_F(LfsTest, ALatePartDoesNotChangeThePublishedObject) {
  LfsPart late = store_->lfs().part("me", oid_, whole_.size(), 10, 2);
  late.append(bytes(std::string(5, 'z')));
  for (uint64_t number : {1, 2, 3}) send_part(oid_, whole_, 10, number);
  LfsPart unfinished = store_->lfs().part("me", oid_, whole_.size(), 10, 1);
  store_->lfs().complete("me", oid_, whole_.size(), 10);
  late.append(bytes(std::string(5, 'z')));
  late.finish();
  unfinished.append(bytes("zzz"));
  send_part(oid_, std::string(whole_.size(), 'z'), 10, 1);
  EXPECT_EQ(file_text(*store_->lfs().readable(info_.key, oid_, "me")), whole_);
  store_->lfs().complete("me", oid_, whole_.size(), 10);  // the client did not receive the response
  EXPECT_EQ(file_text(*store_->lfs().readable(info_.key, oid_, "me")), whole_);
  EXPECT_EQ(files_in(store_->folder() / "parts"), 0u);
}

TEST_F(LfsTest, AnUploadThatIsPublishedTakesNoMoreBytes) {
  LfsUpload upload = store_->lfs().upload("me", oid_, std::nullopt);
  upload.append(bytes(whole_));
  upload.finish();
  EXPECT_THROW(upload.append(bytes("x")), Error);
  EXPECT_EQ(file_text(*store_->lfs().readable(info_.key, oid_, "me")), whole_);
}

TEST_F(LfsTest, APartMayBeSentTwiceAtOnce) {
  LfsPart first = store_->lfs().part("me", oid_, whole_.size(), 10, 2);
  LfsPart second = store_->lfs().part("me", oid_, whole_.size(), 10, 2);
  LfsPart aborted = store_->lfs().part("me", oid_, whole_.size(), 10, 2);
  first.append(bytes("zz"));
  second.append(bytes(whole_.substr(10, 6)));
  aborted.append(bytes("zzzz"));
  first.append(bytes("zzzzzzzz"));
  first.finish();
  second.append(bytes(whole_.substr(16, 4)));
  EXPECT_EQ(second.finish(), sha256_hex(bytes(whole_.substr(10, 10))));
  for (uint64_t number : {1, 3}) send_part(oid_, whole_, 10, number);
  aborted.append(bytes("zzzzzz"));
  store_->lfs().complete("me", oid_, whole_.size(), 10);
  EXPECT_EQ(file_text(*store_->lfs().readable(info_.key, oid_, "me")), whole_);
}

TEST_F(LfsTest, TwoRequestsMayCompleteAnUploadAtOnce) {
  std::string large(900'000, 'x');
  std::string oid = sha256_hex(bytes(large));
  for (uint64_t number = 1; number <= 9; ++number) send_part(oid, large, 100'000, number);
  std::atomic<int> completed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      try {
        store_->lfs().complete("me", oid, large.size(), 100'000);
        ++completed;
      } catch (const StoreError& error) {
        EXPECT_EQ(error.reason(), StoreReason::conflict);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(completed, 1);
  EXPECT_EQ(file_text(*store_->lfs().readable(info_.key, oid, "me")), large);
}

TEST_F(LfsTest, ARestartRemovesHalfJoinedPartsAndACollectionExpiredOnes) {
  for (uint64_t number : {1, 2, 3}) send_part(oid_, whole_, 10, number);
  // A server was killed while it joined the parts.
  std::filesystem::rename(store_->folder() / "parts/me" / oid_, store_->folder() / "tmp/claimed");
  std::ofstream(store_->folder() / "tmp/joined") << whole_.substr(0, 15);
  std::string other = sha256_hex(bytes("other"));
  send_part(other, "other", 10, 1);
  auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 8);
  std::filesystem::last_write_time(store_->folder() / "parts/me" / other, old);
  reopen();
  EXPECT_EQ(collect_garbage(store_->folder(), {}).uploads.count, 1u);
  EXPECT_EQ(files_in(store_->folder() / "tmp") + files_in(store_->folder() / "parts"), 0u);
  EXPECT_TRUE(refuses(
      StoreReason::malformed, [&] { store_->lfs().complete("me", oid_, whole_.size(), 10); }, "parts are missing"));
}

TEST_F(LfsTest, AnObjectThatAKillLeftWithoutItsRowIsUploadedAgain) {
  for (uint64_t number : {1, 2, 3}) send_part(oid_, whole_, 10, number);
  store_->lfs().complete("me", oid_, whole_.size(), 10);
  store_.reset();
  test_sql(folder_.path() / "data", "DELETE FROM objects;DELETE FROM object_owners;");
  reopen();
  EXPECT_FALSE(store_->lfs().readable(info_.key, oid_, "me"));
  for (uint64_t number : {1, 2, 3}) send_part(oid_, whole_, 10, number);
  store_->lfs().complete("me", oid_, whole_.size(), 10);
  EXPECT_EQ(file_text(*store_->lfs().readable(info_.key, oid_, "me")), whole_);
}

TEST_F(LfsTest, APartThatAPowerLossTruncatedIsMissing) {
  for (uint64_t number : {1, 2, 3}) send_part(oid_, whole_, 10, number);
  std::filesystem::resize_file(store_->folder() / "parts/me" / oid_ / "10-2", 0);
  EXPECT_TRUE(refuses(
      StoreReason::malformed, [&] { store_->lfs().complete("me", oid_, whole_.size(), 10); }, "have 2, need 3"));
  send_part(oid_, whole_, 10, 2);
  store_->lfs().complete("me", oid_, whole_.size(), 10);
  EXPECT_EQ(file_text(*store_->lfs().readable(info_.key, oid_, "me")), whole_);
}

// A limit on the size of files stands for a full disk: writes fail in the same place.
class SmallFiles {
 public:
  explicit SmallFiles(uint64_t max_bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    struct rlimit limit = before_;
    limit.rlim_cur = max_bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~SmallFiles() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, SIG_DFL);
  }

 private:
  struct rlimit before_{};
};

TEST_F(LfsTest, AFullDiskLeavesNoHalfObject) {
  std::string large(900'000, 'x');
  std::string oid = sha256_hex(bytes(large));
  for (uint64_t max_bytes : {100'000, 700'000}) {
    for (uint64_t number : {1, 2, 3}) send_part(oid, large, 300'000, number);
    {
      SmallFiles limit(max_bytes);
      EXPECT_THROW(store_->lfs().complete("me", oid, large.size(), 300'000), Error);
      LfsPart part = store_->lfs().part("me", oid, large.size(), 300'000, 2);
      if (max_bytes < 300'000) {
        EXPECT_THROW(part.append(bytes(large.substr(0, 300'000))), Error);
      }
    }
    EXPECT_EQ(files_in(store_->folder() / "lfs") + files_in(store_->folder() / "tmp"), 0u);
    EXPECT_FALSE(store_->lfs().uploaded("me", oid));
    // If the first part could not be joined, the parts are kept for another attempt.
    EXPECT_EQ(store_->lfs().has_part("me", oid, 300'000, 1), max_bytes < 300'000);
  }
  for (uint64_t number : {1, 2, 3}) send_part(oid, large, 300'000, number);
  store_->lfs().complete("me", oid, large.size(), 300'000);
  EXPECT_EQ(file_text(*store_->lfs().readable(info_.key, oid, "me")), large);
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
