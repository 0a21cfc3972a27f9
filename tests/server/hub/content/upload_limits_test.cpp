#include "server/hub/content/upload_limits.h"

#include "tests/server/hub/store_fixture.h"

namespace depickle::server::content {
namespace {

using namespace repos;

constexpr uint64_t kMiB = 1 << 20;

class UploadLimitsTest : public StoreTest {
 protected:
  UploadLimitsTest() : StoreTest({.uncommitted_bytes = 3 * kMiB, .user_bytes = 5 * kMiB}) {}
  /// Opens the store with other limits, without the bytes that it remembers.
  void open_with(uint64_t uncommitted_bytes, uint64_t user_bytes) {
    limits_.uncommitted_bytes = uncommitted_bytes;
    limits_.user_bytes = user_bytes;
    reopen();
  }
  void check(uint64_t bytes, const std::string& user = "me") { store_->upload_limits().check(user, bytes); }
  RepoInfo info_ = create_repo("me/demo");
};

TEST_F(UploadLimitsTest, TheBytesWithoutACommitAreLimited) {
  std::string oid = uploaded(std::string(2 * kMiB, 'a'), me_);
  check(kMiB);
  EXPECT_TRUE(refuses(StoreReason::over_quota, [&] { check(kMiB + 1); }, "in no commit"));
  check(3 * kMiB, "other");
  commit(info_, "1", AddLfsFile{"a.bin", oid, std::nullopt});
  reopen();
  check(3 * kMiB);
  EXPECT_EQ(store_->upload_limits().of("me").uncommitted, 0u);
  EXPECT_EQ(store_->upload_limits().of("me").objects, 2 * kMiB);
}

TEST_F(UploadLimitsTest, AllBytesOfAUserAreLimited) {
  std::string oid = uploaded(std::string(2 * kMiB, 'a'), me_);
  commit(info_, "1", AddLfsFile{"a.bin", oid, std::nullopt});
  open_with(100 * kMiB, 5 * kMiB);
  check(3 * kMiB);
  EXPECT_TRUE(refuses(StoreReason::over_quota, [&] { check(3 * kMiB + 1); }, "storage limit"));
  uploaded(std::string(2 * kMiB, 'b'), me_);
  EXPECT_TRUE(refuses(StoreReason::over_quota, [&] { check(2 * kMiB); })) << "an upload counts at once";
}

TEST_F(UploadLimitsTest, UnfinishedPartsCount) {
  std::string whole(3 * kMiB, 'x'), oid = sha256_hex(bytes(whole));
  LfsPart part = store_->lfs().part("me", oid, whole.size(), 2 * kMiB, 1);
  part.append(bytes(whole.substr(0, 2 * kMiB)));
  part.finish();
  EXPECT_GE(store_->upload_limits().of("me").uncommitted, 2 * kMiB);
  EXPECT_TRUE(refuses(StoreReason::over_quota, [&] { check(2 * kMiB); }));
}

TEST_F(UploadLimitsTest, LargeUploadsLeaveAReserveAndSmallCommitsWork) {
  limits_ = {};
  limits_.reserve_bytes = UINT64_MAX;
  reopen();
  EXPECT_TRUE(refuses(StoreReason::no_space, [&] { check(kMiB); }, "not enough free space"));
  EXPECT_TRUE(refuses(StoreReason::no_space, [&] { store_->xet().xorb("me", std::string(64, 'a'), kMiB); }));
  check(kMiB - 1);
  commit(info_, "1", add("a.txt", "small"), add("b.bin", "an LFS file"));
  EXPECT_EQ(content(info_, "b.bin"), "an LFS file");
  limits_.reserve_bytes = 0;
  reopen();
  check(kMiB);
  EXPECT_TRUE(refuses(StoreReason::no_space, [&] { check(uint64_t{1} << 60); }));
}

}  // namespace
}  // namespace depickle::server::content
