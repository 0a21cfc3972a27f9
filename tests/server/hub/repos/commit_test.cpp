#include <thread>

#include "tests/server/hub/store_fixture.h"

namespace depickle::server::repos {
namespace {

class CommitTest : public StoreTest {
 protected:
  CommitTest() : StoreTest({.regular_file_bytes = 100'000}) {}
  RepoInfo info_ = create_repo("me/demo");
};

TEST_F(CommitTest, FilesAreWrittenCopiedAndDeleted) {
  commit(info_, "one", add("config.json", "{}"), add("a/b/c.txt", "c"), add("a/d.txt", "d"));
  std::string second = commit(
      info_, "two\nignored", DeleteFile{"a/d.txt"}, CopyFile{"copy.txt", "a/b/c.txt", ""}, add("config.json", "{1}"));
  EXPECT_EQ(git(info_, "ls-tree -r --name-only main"), ".gitattributes\na/b/c.txt\nconfig.json\ncopy.txt\n");
  EXPECT_EQ(git(info_, "show main:copy.txt"), "c");
  EXPECT_EQ(git(info_, "rev-parse main"), second + "\n");
  EXPECT_EQ(git(info_, "log --format=%s main"), "two\none\ninitial commit\n");
  commit(info_, "three", DeleteFolder{"a/"});
  EXPECT_EQ(git(info_, "ls-tree -r --name-only main"), ".gitattributes\nconfig.json\ncopy.txt\n");
  EXPECT_EQ(git(info_, "fsck --strict --full"), "");
}

TEST_F(CommitTest, AParentThatIsNotTheHeadIsRefused) {
  std::string first = commit(info_, "one", add("a", "1"));
  commit(info_, "two", add("a", "2"));
  Repo repo = store_->repo(info_);
  CommitRequest late = request("late", add("a", "3"));
  late.parent = first;
  EXPECT_TRUE(refuses(StoreReason::head_moved, [&] { Committer(repo).commit("main", std::move(late), me_); }));
  CommitRequest good = request("good", add("a", "3"));
  good.parent = repo.commit_at("main").substr(0, 5);
  Committer(repo).commit("main", std::move(good), me_);
  EXPECT_EQ(content(info_, "a"), "3");
}

TEST_F(CommitTest, HostilePathsAreRefused) {
  std::string endless(4097, 'a'), nul("a\0b", 3);
  for (std::string path : {std::string("../x"), std::string("/etc/passwd"), std::string("a/../b"), std::string("./a"),
           std::string("a//b"), std::string("a/"), std::string(""), std::string(".git/config"), std::string("a/.GIT/x"),
           std::string(".git. /x"), std::string("GIT~1/x"), std::string(".git::$INDEX_ALLOCATION/x"),
           std::string("a\nb"), std::string("a\x7f"), std::string("a\\b"), std::string("\xff"), nul, endless,
           std::string(256, 'n')}) {
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { commit(info_, "x", add(path, "x")); })) << path;
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { commit(info_, "x", CopyFile{path, ".gitattributes", ""}); }))
        << path;
  }
  EXPECT_EQ(git(info_, "rev-list --count main"), "1\n");
}

TEST_F(CommitTest, AFileAndAFolderCannotHaveTheSameName) {
  commit(info_, "one", add("a", "1"), add("f/x", "1"));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { commit(info_, "x", add("a/b", "2")); }));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { commit(info_, "x", add("f", "2")); }));
  commit(info_, "in order", DeleteFile{"a"}, add("a/b", "2"), DeleteFile{"f/x"}, add("f", "2"));
  EXPECT_EQ(git(info_, "ls-tree -r --name-only main"), ".gitattributes\na/b\nf\n");
}

TEST_F(CommitTest, DeletingAMissingFileHasTheHubsErrorText) {
  EXPECT_TRUE(refuses(
      StoreReason::no_entry, [&] { commit(info_, "x", DeleteFile{"nothing"}); },
      "A file with this name doesn't exist"));
  EXPECT_TRUE(refuses(
      StoreReason::no_entry, [&] { commit(info_, "x", DeleteFolder{"nothing"}); },
      "A file with this name doesn't exist"));
}

TEST_F(CommitTest, CommitsToUnknownBranchesAreRefused) {
  Repo repo = store_->repo(info_);
  for (const char* revision : {"nothing", "refs/pr/1", "refs/pr/01", "refs/pr/x", "", "../main"}) {
    EXPECT_TRUE(refuses(StoreReason::no_revision, [&] {
      Committer(repo).commit(revision, request("x", add("a", "1")), me_);
    })) << revision;
  }
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { commit(info_, "", add("a", "1")); }));
}

TEST_F(CommitTest, LfsObjectsMustBeKnownToTheAuthor) {
  std::string oid = uploaded("weights", me_);
  EXPECT_TRUE(
      refuses(StoreReason::malformed, [&] { commit(info_, "x", AddLfsFile{"w.bin", std::string(64, 'a'), 7}); }));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { commit(info_, "x", AddLfsFile{"w.bin", "../../etc", 7}); }));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { commit(info_, "x", AddLfsFile{"w.bin", oid, 8}); }));
  commit(info_, "x", AddLfsFile{"w.bin", oid, 7});
  commit(info_, "a copy, without a size", AddLfsFile{"v.bin", oid, std::nullopt});
  EXPECT_EQ(content(info_, "v.bin"), "weights");
  EXPECT_EQ(
      git(info_, "show main:w.bin"), "version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 7\n");
  Repo repo = store_->repo(info_);
  git::Entry entry = repo.entry_at(repo.commit_at("main"), "w.bin");
  EXPECT_EQ(entry.size_bytes, 7u);
  EXPECT_EQ(entry.etag(), oid);
  EXPECT_EQ(entry.pointer_bytes, 126u);
  EXPECT_EQ(repo.used_bytes(), 7u);
}

TEST_F(CommitTest, AHashGivesNoAccessToTheBytes) {
  Caller thief = user("thief");
  RepoInfo secret = create_repo("me/secret", {.is_private = true}),
           theirs = store_->repos().create(id("thief/x"), {}, thief);
  std::string oid = uploaded("secret weights", me_);
  commit(secret, "x", AddLfsFile{"w.bin", oid, std::nullopt});
  Repo repo = store_->repo(theirs);
  std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 14\n";
  EXPECT_TRUE(refuses(StoreReason::malformed,
      [&] { Committer(repo).commit("main", request("x", AddLfsFile{"w.bin", oid, 14}), thief); }));
  EXPECT_TRUE(refuses(
      StoreReason::malformed, [&] { Committer(repo).commit("main", request("x", add("w.bin", pointer)), thief); }));
  EXPECT_FALSE(store_->lfs().usable("thief", theirs.key, oid));
  // A pointer in a ref does not grant access either.
  std::string blob = git(theirs, "hash-object -w --stdin <<'X'\n" + pointer + "X\n");
  git(theirs, "update-ref refs/heads/evil $(git -C " + repo.git_folder().string() +
                  " -c user.name=t -c user.email=t commit-tree -m x $(printf '100644 blob " + blob.substr(0, 40) +
                  "\\tw.bin\\n' | git -C " + repo.git_folder().string() + " mktree))");
  EXPECT_TRUE(refuses(StoreReason::no_entry, [&] { content(theirs, "w.bin", "evil", &thief); }));
  // A user who has the bytes may commit them.
  EXPECT_EQ(uploaded("secret weights", thief), oid);
  Committer(repo).commit("main", request("x", AddLfsFile{"w.bin", oid, 14}), thief);
  EXPECT_EQ(content(theirs, "w.bin"), "secret weights");
}

TEST_F(CommitTest, LargeFilesAndFilesThatMatchAPatternBecomeLfsObjects) {
  std::string large(150'000, 'x');
  commit(
      info_, "x", add("large.txt", large), add("small.bin", "weights"), add("empty.bin", ""), add("small.txt", "text"));
  Repo repo = store_->repo(info_);
  std::string head = repo.commit_at("main");
  EXPECT_TRUE(repo.entry_at(head, "large.txt").lfs);
  EXPECT_TRUE(repo.entry_at(head, "small.bin").lfs);
  EXPECT_FALSE(repo.entry_at(head, "empty.bin").lfs);
  EXPECT_FALSE(repo.entry_at(head, "small.txt").lfs);
  EXPECT_EQ(content(info_, "large.txt"), large);
  // The missing line was added, so that a clone contains the file and not its pointer.
  EXPECT_NE(
      content(info_, ".gitattributes").find("/large.txt filter=lfs diff=lfs merge=lfs -text\n"), std::string::npos);
  EXPECT_EQ(content(info_, ".gitattributes").find("/small.bin"), std::string::npos);
}

TEST_F(CommitTest, GitLfsClonesFromTheFileSystem) {
  ASSERT_EQ(run("git lfs version").status, 0) << "git-lfs is not installed";
  commit(info_, "x", add("w.bin", "weights"), add("sub folder/a[1] b.txt", std::string(150'000, 'y')));
  std::string link = (store_->folder() / "repos/models/me/demo.git").string(),
              clone = (folder_.path() / "clone").string();
  std::string lfs =
      "env -u GIT_LFS_SKIP_SMUDGE git -c filter.lfs.process='git-lfs filter-process' -c filter.lfs.required=true ";
  CommandResult result = run(lfs + "clone file://" + link + " " + clone);
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(file_text(clone + "/w.bin"), "weights");
  EXPECT_EQ(file_text(clone + "/sub folder/a[1] b.txt"), std::string(150'000, 'y'));
  EXPECT_EQ(run(lfs + "-C " + clone + " status --porcelain").output, "");
}

TEST_F(CommitTest, PreuploadReturnsTheModeAndTheExistingOid) {
  std::string large(150'000, 'x');
  commit(info_, "x", add("config.json", "{}"), add("w.bin", "weights"), add("large.txt", large),
      add(".gitignore", "*.log\n"));
  Repo repo = store_->repo(info_);
  PreuploadQuery query{repo.commit_at("main"),
      {{"config.json", "{}", 2}, {"w.bin", "w", 7}, {"new.txt", "text", 4},
          {"image.png", std::string("\x89PNG\0", 5), 9}, {"huge.txt", "x", 100'001}, {"empty.bin", "", 0},
          {"x.log", "x", 1}, {"umlaut.txt", "\xc3\xa4\xc3", 90}},
      {}, {}, 0};
  std::vector<PreuploadResult> results = Committer(repo).preupload(query);
  EXPECT_FALSE(results[0].is_lfs);
  EXPECT_EQ(results[0].oid, repo.entry_at(query.commit, "config.json").oid);
  EXPECT_TRUE(results[1].is_lfs);
  EXPECT_EQ(results[1].oid, sha256_hex(bytes("weights")));
  EXPECT_FALSE(results[2].is_lfs);
  EXPECT_FALSE(results[2].oid);
  EXPECT_TRUE(results[3].is_lfs);
  EXPECT_TRUE(results[4].is_lfs);
  EXPECT_FALSE(results[5].is_lfs);
  EXPECT_TRUE(results[6].is_ignored);
  EXPECT_FALSE(results[0].is_ignored);
  EXPECT_FALSE(results[7].is_lfs);

  // An LFS file that is sent inline is compared by git's SHA-1 of the whole content.
  query.files = {{"w.bin", "w", 7}, {"large.txt", "x", large.size()}};
  query.git_ignore = "large*";
  query.inline_up_to_bytes = 1'000'000;
  results = Committer(repo).preupload(query);
  EXPECT_FALSE(results[0].is_lfs);
  EXPECT_EQ(results[0].oid, run("printf weights | git hash-object --stdin").output.substr(0, 40));
  EXPECT_EQ(
      results[1].oid, run("head -c 150000 /dev/zero | tr '\\0' x | git hash-object --stdin").output.substr(0, 40));
  EXPECT_TRUE(results[1].is_ignored);
  EXPECT_FALSE(results[0].is_ignored);
}

TEST_F(CommitTest, ConcurrentCommitsAreAllApplied) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) commit(info_, "x", add("file" + std::to_string(t) + "-" + std::to_string(i), "x"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(git(info_, "rev-list --count main"), "21\n");
  EXPECT_EQ(git(info_, "ls-tree main | wc -l"), "21\n");
}

}  // namespace
}  // namespace depickle::server::repos
