#include "server/hub/repos/garbage.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/server/hub/store_fixture.h"

namespace depickle::server::repos {
namespace {

using std::chrono::milliseconds;

class GarbageTest : public StoreTest {
 protected:
  Garbage collect(milliseconds age = milliseconds(0), bool dry_run = false) {
    ::usleep(2000);  // ages are compared in milliseconds
    GarbageOptions options;
    options.upload_age = options.released_age = age;
    options.dry_run = dry_run;
    return collect_garbage(store_->folder(), options);
  }
  Garbage collect_hourly() {
    GarbageOptions options;
    options.upload_age = options.released_age = milliseconds(0);
    options.only_changed_repos = true;
    ::usleep(2000);
    return collect_garbage(store_->folder(), options);
  }
  bool exists(const std::string& oid) {
    return std::filesystem::exists(store_->folder() / "lfs" / oid.substr(0, 2) / oid.substr(2, 2) / oid);
  }
  /// Changes when objects were used and released, as if they were older.
  void make_older(const std::string& oid, int64_t hours) {
    test_sql(store_->folder(), "UPDATE object_uses SET used_at = used_at - " + std::to_string(hours * 3'600'000) +
                                   ", released_at = released_at - " + std::to_string(hours * 3'600'000) +
                                   " WHERE oid = '" + oid + "';");
  }
  RepoInfo info_ = create_repo("me/demo");
};

TEST_F(GarbageTest, ObjectsAreKeptAsLongAsAnyRefReachesThem) {
  std::string in_history = uploaded("in history", me_), on_branch = uploaded("on a branch", me_);
  std::string tagged = uploaded("tagged", me_), pulled = uploaded("pulled", me_), never = uploaded("never", me_);
  commit(info_, "1", AddLfsFile{"a/b/w.bin", in_history, std::nullopt});
  commit(info_, "2", DeleteFile{"a/b/w.bin"});
  Repo repo = store_->repo(info_);
  for (const char* name : {"topic", "other"}) repo.create_branch(name, "main");
  Committer(repo).commit("topic", request("3", AddLfsFile{"x.bin", on_branch, std::nullopt}), me_);
  Committer(repo).commit("other", request("4", AddLfsFile{"x.bin", tagged, std::nullopt}), me_);
  repo.create_tag("v1", "other", "a message", "me");
  repo.delete_branch("other");
  Committer(repo).commit_as_pull_request("main", request("5", AddLfsFile{"x.bin", pulled, std::nullopt}), me_);
  Garbage garbage = collect();
  EXPECT_EQ(garbage.objects.count, 1u);
  EXPECT_FALSE(exists(never));
  for (const std::string& oid : {in_history, on_branch, tagged, pulled}) EXPECT_TRUE(exists(oid));
  EXPECT_FALSE(store_->lfs().uploaded("me", never));

  repo.delete_branch("topic");
  EXPECT_EQ(collect(std::chrono::hours(1)).references, 1u);
  EXPECT_TRUE(exists(on_branch)) << "it is younger than an hour";
  EXPECT_EQ(collect().objects.count, 1u);
  EXPECT_FALSE(exists(on_branch));
  repo.delete_tag("v1");
  EXPECT_EQ(collect_hourly().objects.count, 1u) << "the deleted tag makes the server read the repository";
  EXPECT_FALSE(exists(tagged));
  for (const std::string& oid : {in_history, pulled}) EXPECT_TRUE(exists(oid));
  EXPECT_EQ(content(info_, "x.bin", "refs/pr/1"), "pulled");
  EXPECT_TRUE(std::filesystem::is_empty(store_->folder() / "tmp"));
}

TEST_F(GarbageTest, ADeletedRepositoryFreesItsObjectsAfterTheAge) {
  std::string own = uploaded("own", me_), shared = uploaded("shared", me_);
  commit(info_, "1", AddLfsFile{"own.bin", own, 3}, AddLfsFile{"shared.bin", shared, 6});
  commit(create_repo("me/second"), "1", AddLfsFile{"shared.bin", shared, 6});
  int64_t generation = store_->xet().generation("me");
  make_older(own, 48);
  store_->repos().remove(info_.id);
  EXPECT_EQ(store_->xet().generation("me"), generation + 1) << "clients must not rely on its xorbs";
  GarbageOptions options;
  EXPECT_EQ(collect_garbage(store_->folder(), options).objects.count, 0u);
  make_older(own, 25);
  EXPECT_EQ(collect_garbage(store_->folder(), options).objects.count, 1u);
  EXPECT_FALSE(exists(own));
  EXPECT_TRUE(exists(shared));
}

TEST_F(GarbageTest, AnUploadIsKeptForAWeekAfterItsLastRequest) {
  std::string oid = uploaded("waits for its commit", me_);
  make_older(oid, 167);
  EXPECT_EQ(collect_garbage(store_->folder(), {}).objects.count, 0u);
  EXPECT_TRUE(store_->lfs().usable("me", info_.key, oid)) << "a batch request says that no upload is needed";
  make_older(oid, 167);
  EXPECT_EQ(collect_garbage(store_->folder(), {}).objects.count, 0u);
  make_older(oid, 2);
  EXPECT_EQ(collect_garbage(store_->folder(), {}).objects.count, 1u);
  EXPECT_TRUE(refuses(
      StoreReason::malformed, [&] { commit(info_, "1", AddLfsFile{"x.bin", oid, std::nullopt}); }, "was not uploaded"));
  EXPECT_EQ(uploaded("waits for its commit", me_), oid);
  commit(info_, "1", AddLfsFile{"x.bin", oid, std::nullopt});
  EXPECT_EQ(content(info_, "x.bin"), "waits for its commit");
}

TEST_F(GarbageTest, ADryRunChangesNothing) {
  std::string never = uploaded("never", me_), on_branch = uploaded("on a branch", me_);
  Repo repo = store_->repo(info_);
  repo.create_branch("topic", "main");
  Committer(repo).commit("topic", request("1", AddLfsFile{"x.bin", on_branch, std::nullopt}), me_);
  repo.delete_branch("topic");
  Garbage garbage = collect(milliseconds(0), true);
  EXPECT_EQ(garbage.objects.count, 2u);
  EXPECT_EQ(garbage.references, 1u);
  EXPECT_TRUE(exists(never) && exists(on_branch));
  EXPECT_EQ(collect().objects.count, 2u);
}

TEST_F(GarbageTest, FilesWithoutARowAndExpiredUploadsAreRemoved) {
  std::string orphan(64, 'a');
  std::filesystem::path folder = store_->folder() / "lfs" / "aa" / "aa";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / orphan) << "without a row";
  std::string whole(30, 'x'), oid = sha256_hex(bytes(whole));
  content::LfsPart part = store_->lfs().part("me", oid, whole.size(), 10, 1);
  part.append(bytes(whole.substr(0, 10)));
  part.finish();
  std::filesystem::create_directories(store_->folder() / "xorbs" / "removed-user" / "ab");
  std::ofstream(store_->folder() / "xorbs" / "removed-user" / "ab" / orphan) << "a xorb";
  Garbage garbage = collect(std::chrono::hours(24 * 7));
  EXPECT_EQ(garbage.temporary.count, 1u);
  EXPECT_EQ(garbage.xorbs.count, 1u);
  EXPECT_EQ(garbage.uploads.count, 0u);
  ::utimensat(AT_FDCWD, (store_->folder() / "parts" / "me" / oid).c_str(), std::array<timespec, 2>{}.data(), 0);
  EXPECT_EQ(collect(std::chrono::hours(24 * 7)).uploads.count, 1u);
  EXPECT_FALSE(store_->lfs().has_part("me", oid, 10, 1));
}

TEST_F(GarbageTest, ARefChangeThatIsPendingKeepsEverything) {
  std::string oid = uploaded("on a branch", me_);
  Repo repo = store_->repo(info_);
  repo.create_branch("topic", "main");
  Committer(repo).commit("topic", request("1", AddLfsFile{"x.bin", oid, std::nullopt}), me_);
  repo.delete_branch("topic");
  test_sql(store_->folder(), "UPDATE ref_changes SET pending = 1;");
  EXPECT_EQ(collect().references, 0u);
  EXPECT_TRUE(exists(oid));
  reopen();  // no process changes a ref
  EXPECT_EQ(collect().references, 1u);
}

TEST_F(GarbageTest, ARepositoryThatCannotBeReadKeepsItsObjects) {
  std::string oid = uploaded("in a damaged repository", me_);
  std::string id = commit(info_, "1", AddLfsFile{"x.bin", oid, std::nullopt});
  std::filesystem::remove(store_->repo(info_).git_folder() / "objects" / id.substr(0, 2) / id.substr(2));
  Garbage garbage = collect();
  ASSERT_EQ(garbage.problems.size(), 1u);
  EXPECT_NE(garbage.problems[0].find("me/demo"), std::string::npos);
  EXPECT_TRUE(exists(oid));
}

TEST_F(GarbageTest, AFolderWithoutAHubIsRefusedAndNotChanged) {
  EXPECT_THROW(collect_garbage(folder_.path(), {}), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "hub.sqlite"));
}

// Collections without any age run beside uploads and commits. A commit may be refused, but an acknowledged one must
// have its object.
TEST_F(GarbageTest, NoCommitLosesAnObjectToACollection) {
  std::atomic<bool> stops = false;
  std::thread collecting([&] {
    GarbageOptions options;
    options.upload_age = options.released_age = milliseconds(0);
    while (!stops) collect_garbage(store_->folder(), options);
  });
  std::vector<std::string> committed;
  int refused = 0;
  for (int i = 0; i < 60; ++i) {
    std::string text = "object " + std::to_string(i % 7), branch = "b" + std::to_string(i);
    Repo repo = store_->repo(info_);
    try {
      std::string oid = uploaded(text, me_);
      repo.create_branch(branch, "main");
      Committer(repo).commit(branch, request("1", AddLfsFile{"x.bin", oid, std::nullopt}), me_);
      committed.push_back(branch);
    } catch (const StoreError&) {
      ++refused;
    }
    if (committed.size() > 3) {  // so that the same object is released and used again
      repo.delete_branch(committed.front());
      committed.erase(committed.begin());
    }
    for (const std::string& name : committed)
      EXPECT_TRUE(content(info_, "x.bin", name).starts_with("object ")) << name << " in round " << i;
  }
  stops = true;
  collecting.join();
  EXPECT_LT(refused, 60);
}

TEST_F(GarbageTest, AKilledCollectionLeavesAFolderThatWorks) {
  std::string kept = uploaded("kept", me_);
  commit(info_, "1", AddLfsFile{"x.bin", kept, std::nullopt});
  for (int round = 0; round < 12; ++round) {
    std::vector<std::string> oids;
    for (int i = 0; i < 30; ++i) oids.push_back(uploaded(std::to_string(round) + "-" + std::to_string(i), me_));
    store_.reset();
    pid_t child = ::fork();
    if (child == 0) {
      GarbageOptions options;
      options.upload_age = options.released_age = milliseconds(0);
      collect_garbage(folder_.path() / "data", options);
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(3000 + round * 4000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    reopen();
    EXPECT_EQ(content(info_, "x.bin"), "kept");
    // Each object exists with its row and file, or can be uploaded again.
    for (int i = 0; i < 30; ++i) {
      const std::string& oid = oids[static_cast<size_t>(i)];
      if (store_->lfs().uploaded("me", oid)) {
        EXPECT_TRUE(exists(oid));
      }
      EXPECT_EQ(uploaded(std::to_string(round) + "-" + std::to_string(i), me_), oid);
      EXPECT_TRUE(exists(oid));
    }
  }
  collect();
  size_t files = 0, folders = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store_->folder() / "lfs"))
    ++(entry.is_directory() ? folders : files);
  EXPECT_EQ(files, 1u);
  EXPECT_EQ(folders, 2u) << "empty folders are removed, too";
  EXPECT_EQ(content(info_, "x.bin"), "kept");
}

TEST_F(GarbageTest, TheServerCollectsAfterADeletion) {
  std::string oid = uploaded("own", me_);
  commit(info_, "1", AddLfsFile{"own.bin", oid, 3});
  store_->start_maintenance([](std::string_view problem) { ADD_FAILURE() << problem; });
  store_->repos().remove(info_.id);
  for (int i = 0; i < 500 && !std::filesystem::is_empty(store_->folder() / "tmp"); ++i) ::usleep(10'000);
  EXPECT_TRUE(std::filesystem::is_empty(store_->folder() / "tmp")) << "the folder of the git repository";
  EXPECT_TRUE(exists(oid)) << "it is younger than a day";
}

TEST_F(GarbageTest, ADatabaseOfVersion1IsUpgraded) {
  std::string oid = uploaded("waits for its commit", me_);
  RepoInfo gated = create_repo("me/gated", {.gate = Gate::manual});
  Caller other = user("other");
  store_.reset();
  test_sql(folder_.path() / "data",
      "CREATE TABLE grants(repo INTEGER NOT NULL, user TEXT NOT NULL COLLATE NOCASE, PRIMARY KEY(repo, user));"
      "INSERT INTO grants VALUES(" +
          std::to_string(gated.key) +
          ", 'other'); DROP TABLE object_uses; DROP TABLE ref_changes; DROP TABLE xet_generations; DROP TABLE "
          "access_requests; PRAGMA user_version=1;");
  reopen();
  EXPECT_TRUE(store_->repos().rights(gated, &other).read);
  EXPECT_EQ(store_->access_requests().list(gated, AccessStatus::accepted).size(), 1u);
  EXPECT_EQ(collect_garbage(store_->folder(), {}).objects.count, 0u) << "the age counts from the upgrade";
  commit(info_, "1", AddLfsFile{"x.bin", oid, std::nullopt});
}

}  // namespace
}  // namespace depickle::server::repos
