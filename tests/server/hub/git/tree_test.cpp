#include "tests/server/hub/store_fixture.h"

namespace depickle::server::git {
namespace {

using namespace repos;

class TreeTest : public StoreTest {
 protected:
  static std::vector<std::string> paths(const TreePage& page) {
    std::vector<std::string> paths;
    for (const Entry& entry : page.entries) paths.push_back(entry.path);
    return paths;
  }
  using Paths = std::vector<std::string>;
  RepoInfo info_ = create_repo("me/demo");
};

TEST_F(TreeTest, RevisionsAreBranchesTagsRefsAndCommits) {
  std::string first = store_->repo(info_).commit_at("main"), second = commit(info_, "two", add("a", "1"));
  Repo repo = store_->repo(info_);
  repo.create_branch("feat/x", first);
  repo.create_tag("v1", first, "", "me");
  repo.create_tag("v2", "main", "with a message", "me");
  for (const std::string& revision : {std::string("main"), std::string("refs/heads/main"), second, second.substr(0, 7),
           std::string("v2"), std::string("HEAD")}) {
    EXPECT_EQ(repo.find_commit(revision), second) << revision;
  }
  for (const char* revision : {"feat/x", "refs/tags/v1", "v1"})
    EXPECT_EQ(repo.find_commit(revision), first) << revision;
  std::string blob = repo.entry_at(second, "a").oid;
  for (const std::string& revision :
      {std::string("nothing"), second.substr(0, 4), blob, std::string("../../HEAD"), std::string(""),
          std::string("refs/pr/1"), std::string(40, '0'), std::string("a\0b", 3), std::string(1000, 'x')}) {
    EXPECT_FALSE(repo.find_commit(revision)) << revision;
  }
  EXPECT_TRUE(refuses(StoreReason::no_revision, [&] { repo.commit_at("nothing"); }, "Invalid rev id: nothing"));
}

TEST_F(TreeTest, BranchesAndTagsAreCreatedAndDeleted) {
  Repo repo = store_->repo(info_);
  repo.create_branch("x");
  EXPECT_TRUE(refuses(StoreReason::exists, [&] { repo.create_branch("x"); }));
  EXPECT_TRUE(refuses(StoreReason::no_revision, [&] { repo.create_branch("y", "nothing"); }));
  for (const std::string& name :
      {std::string("a..b"), std::string("-x"), std::string("a b"), std::string("refs/heads/x"), std::string(""),
          std::string(40, 'a'), std::string("x.lock"), std::string("HEAD")}) {
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { repo.create_branch(name); })) << name;
  }
  repo.create_tag("v1", "main", "message", "me");
  EXPECT_TRUE(refuses(StoreReason::exists, [&] { repo.create_tag("v1", "main", "", "me"); }));
  Refs refs = repo.refs();
  ASSERT_EQ(refs.branches.size(), 2u);
  ASSERT_EQ(refs.tags.size(), 1u);
  EXPECT_EQ(refs.tags[0].name, "v1");
  EXPECT_EQ(refs.tags[0].full_name, "refs/tags/v1");
  EXPECT_EQ(refs.tags[0].commit, repo.commit_at("main"));
  repo.delete_branch("x");
  repo.delete_tag("v1");
  EXPECT_TRUE(refuses(StoreReason::no_revision, [&] { repo.delete_branch("x"); }));
  EXPECT_TRUE(refuses(StoreReason::denied, [&] { repo.delete_branch("main"); }));
}

TEST_F(TreeTest, ABranchBesideABranchBelowItIsRefused) {
  Repo repo = store_->repo(info_);
  repo.create_branch("feat/x");
  for (const char* name : {"feat", "feat/x/y", "feat/x/y/z"})
    EXPECT_TRUE(refuses(StoreReason::exists, [&] { repo.create_branch(name); }, "conflicts with")) << name;
  repo.create_branch("feat-x");
  repo.create_tag("v/1", "main", "", "me");
  EXPECT_TRUE(refuses(StoreReason::exists, [&] { repo.create_tag("v", "main", "", "me"); }, "conflicts with"));
}

TEST_F(TreeTest, ListsAFolderOrEverythingBelowIt) {
  std::string head = commit(info_, "x", add("a/b/c.txt", "c"), add("a/d.txt", "dd"), add("z.txt", "z"));
  Repo repo = store_->repo(info_);
  EXPECT_EQ(paths(repo.list(head, {})), (Paths{".gitattributes", "a", "z.txt"}));
  EXPECT_EQ(paths(repo.list(head, {.path = "a"})), (Paths{"a/b", "a/d.txt"}));
  TreePage all = repo.list(head, {.recursive = true});
  EXPECT_EQ(paths(all), (Paths{".gitattributes", "a", "a/b", "a/b/c.txt", "a/d.txt", "z.txt"}));
  EXPECT_TRUE(all.entries[1].is_folder);
  EXPECT_EQ(all.entries[4].size_bytes, 2u);
  EXPECT_EQ(all.entries[4].oid + "\n", git(info_, "rev-parse main:a/d.txt"));
  EXPECT_EQ(repo.files(head).size(), 4u);
  EXPECT_TRUE(refuses(StoreReason::no_entry, [&] { repo.list(head, {.path = "nothing"}); }));
  EXPECT_TRUE(refuses(StoreReason::no_entry, [&] { repo.list(head, {.path = "z.txt"}); }));
  EXPECT_TRUE(refuses(StoreReason::no_entry, [&] { repo.entry_at(head, "a/nothing"); }));
  EXPECT_FALSE(repo.find_entry(head, "../a"));
}

TEST_F(TreeTest, PagesOfAnySizeAddUpToTheTree) {
  std::string head = commit(
      info_, "x", add("a/b/c.txt", "c"), add("a/d.txt", "d"), add("a.txt", "a"), add("ab/x", "x"), add("z/y/x/w", "w"));
  Repo repo = store_->repo(info_);
  Paths whole = paths(repo.list(head, {.recursive = true}));
  for (uint64_t limit = 1; limit <= whole.size(); ++limit) {
    Paths found;
    TreeQuery query{.recursive = true, .limit = limit};
    do {
      TreePage page = repo.list(head, query);
      EXPECT_LE(page.entries.size(), limit);
      for (const std::string& path : paths(page)) found.push_back(path);
      query.cursor = page.next;
    } while (!query.cursor.empty());
    EXPECT_EQ(found, whole) << limit;
  }
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { repo.list(head, {.recursive = true, .cursor = "a/nothing"}); }));
}

TEST_F(TreeTest, TheLastCommitOfAPathIsTheOneThatChangedIt) {
  std::string one = commit(info_, "one", add("a", "1"), add("f/x", "1")), two = commit(info_, "two", add("a", "2")),
              three = commit(info_, "three", add("f/y", "1"));
  Paths asked{"a", "f", "f/x", ".gitattributes"};
  std::vector<Commit> found = store_->repo(info_).last_commits(three, asked);
  EXPECT_EQ(found[0].id, two);
  EXPECT_EQ(found[1].id, three);
  EXPECT_EQ(found[2].id, one);
  EXPECT_EQ(found[3].title, "initial commit");
}

TEST_F(TreeTest, TheLogIsNewestFirstAndCounted) {
  CommitRequest with_message = request("one", add("a", "1"));
  with_message.message = "why\n\nand how";
  Repo repo = store_->repo(info_);
  Committer(repo).commit("main", std::move(with_message), me_);
  std::string head = commit(info_, "two", add("a", "2"));
  CommitPage page = repo.log(head, 0, 2);
  EXPECT_EQ(page.total, 3u);
  ASSERT_EQ(page.commits.size(), 2u);
  EXPECT_EQ(page.commits[0].id, head);
  EXPECT_EQ(page.commits[1].title, "one");
  EXPECT_EQ(page.commits[1].message, "why\n\nand how");
  EXPECT_EQ(page.commits[1].author, "me");
  EXPECT_EQ(page.commits[0].parents, Paths{page.commits[1].id});
  EXPECT_LT(std::abs(page.commits[0].date - now_ms()), 10'000);
  EXPECT_EQ(repo.log(head, 2, 50).commits.size(), 1u);
}

TEST_F(TreeTest, ADiffIsWhatGitPrintsAndIsCut) {
  std::string one = commit(info_, "one", add("a", "1\n")), two = commit(info_, "two", add("a", "2\n"));
  EXPECT_EQ(store_->repo(info_).diff(one, two), git(info_, "diff " + one + " " + two));
  std::string three = commit(info_, "three", add("a", std::string(500'000, 'x') + "\n"));
  std::string cut = store_->repo(info_).diff(two, three);
  EXPECT_LT(cut.size(), limits_.diff_bytes + 1000);
  EXPECT_NE(cut.find("cut here"), std::string::npos);
}

TEST(Dates, EndInZ) { EXPECT_EQ(iso_date(1767323045678), "2026-01-02T03:04:05.678Z"); }

}  // namespace
}  // namespace depickle::server::git
