#include <gmock/gmock.h>

#include "tests/server/hub/store_fixture.h"

namespace depickle::server::repos {
namespace {

using testing::ElementsAre;

class DiscussionsTest : public StoreTest {
 protected:
  CommitResult pull_request(const std::string& title, AddFile file, const std::string& parent = "") {
    Repo repo = store_->repo(info_);
    CommitRequest wanted = request(title, std::move(file));
    wanted.message = "the description";
    wanted.parent = parent;
    return Committer(repo).commit_as_pull_request("main", std::move(wanted), bot_);
  }
  template <typename Body>
  auto with(Body body) {
    Repo repo = store_->repo(info_);
    return body(Discussions(repo));
  }
  DiscussionDetails details(uint64_t number, bool diff = false) {
    return with([&](Discussions all) { return all.details(number, diff); });
  }
  DiscussionEvent merge(uint64_t number, const std::string& head = "") {
    return with([&](Discussions all) { return all.merge(number, head, "", "me"); });
  }

  Caller bot_ = user("bot");
  RepoInfo info_ = create_repo("me/demo");
};

TEST_F(DiscussionsTest, APullRequestOfACommitIsOpenOnItsOwnRef) {
  std::string base = store_->repo(info_).commit_at("main");
  CommitResult result = pull_request("Add weights", add("w.txt", "w"));
  ASSERT_EQ(result.pull_request, 1u);
  EXPECT_EQ(git(info_, "rev-parse refs/pr/1 refs/pr/1~1 main"), result.commit + "\n" + base + "\n" + base + "\n");
  Repo repo = store_->repo(info_);
  git::CommitPage log = repo.log(repo.commit_at("refs/pr/1"), 0, 50);
  EXPECT_EQ(log.commits[1].id, base);
  DiscussionDetails found = details(1, true);
  EXPECT_EQ(found.discussion.status, Status::open);
  EXPECT_EQ(found.discussion.title, "Add weights");
  EXPECT_EQ(found.discussion.author, "bot");
  EXPECT_EQ(found.discussion.comments, 1u);
  ASSERT_EQ(found.events.size(), 2u);
  EXPECT_EQ(found.events[0].text, "the description");
  EXPECT_EQ(found.events[1].type, DiscussionEvent::Type::commit);
  EXPECT_EQ(found.events[1].oid, result.commit);
  EXPECT_TRUE(found.conflicts.empty());
  EXPECT_EQ(found.diff, git(info_, "diff main refs/pr/1"));
}

TEST_F(DiscussionsTest, ADraftAcceptsCommitsAndOpens) {
  Discussion draft = with([](Discussions all) { return all.create_pull_request("Draft", "", "bot"); });
  EXPECT_EQ(draft.status, Status::draft);
  EXPECT_EQ(git(info_, "rev-parse refs/pr/1"), git(info_, "rev-parse main"));
  Repo repo = store_->repo(info_);
  Committer(repo).commit("refs/pr/1", request("one", add("a", "1")), bot_);
  Committer(repo).commit("refs/pr/1", request("two", add("b", "2")), bot_);
  with([](Discussions all) { return all.change_status(1, Status::open, "ready", "bot"); });
  DiscussionDetails found = details(1);
  EXPECT_EQ(found.discussion.status, Status::open);
  EXPECT_EQ(found.discussion.comments, 2u);
  EXPECT_EQ(found.events.size(), 5u);  // description, two commits, comment, status
  merge(1);
  EXPECT_EQ(git(info_, "log -1 --format=%B main"),
      "Draft (#1)\n\n- one (" + git(info_, "rev-parse refs/pr/1~1").substr(0, 40) + ")\n- two (" +
          git(info_, "rev-parse refs/pr/1").substr(0, 40) + ")\n\n");
  EXPECT_EQ(git(info_, "rev-list --count main"), "2\n");
  EXPECT_TRUE(refuses(
      StoreReason::conflict, [&] { Committer(repo).commit("refs/pr/1", request("late", add("c", "3")), bot_); }));
  EXPECT_EQ(details(1).events.back().status, Status::merged);
  EXPECT_EQ(*details(1).discussion.merge_commit + "\n", git(info_, "rev-parse main"));
}

TEST_F(DiscussionsTest, DiscussionsAndPullRequestsShareOneSequence) {
  with([](Discussions all) { return all.create("A question", "why?", "bot"); });
  EXPECT_EQ(pull_request("x", add("x", "x")).pull_request, 2u);
  EXPECT_EQ(with([](Discussions all) { return all.create("Another", "", "me"); }).number, 3u);
  DiscussionPage page = with([](Discussions all) { return all.list({}); });
  EXPECT_EQ(page.total, 3u);
  EXPECT_EQ(page.discussions[0].number, 3u);
  EXPECT_EQ(with([](Discussions all) { return all.list({.pull_requests = true}); }).total, 1u);
  EXPECT_EQ(with([](Discussions all) { return all.list({.author = "me"}); }).total, 1u);
  with([](Discussions all) { return all.change_status(1, Status::closed, "", "me"); });
  page = with([](Discussions all) { return all.list({.status = DiscussionQuery::StatusFilter::closed}); });
  EXPECT_EQ(page.total, 1u);
  EXPECT_EQ(page.closed, 1u);
  EXPECT_EQ(with([](Discussions all) { return all.list({.offset = 1, .limit = 1}); }).discussions[0].number, 2u);
}

TEST_F(DiscussionsTest, CommentsAreAddedEditedAndHidden) {
  with([](Discussions all) { return all.create("A question", "why?", "bot"); });
  DiscussionEvent comment = with([](Discussions all) { return all.comment(1, "because", "me"); });
  EXPECT_EQ(comment.id.size(), 24u);
  EXPECT_EQ(with([&](Discussions all) { return all.edit_comment(1, comment.id, "because!"); }).edits, 1u);
  EXPECT_EQ(details(1).events[1].text, "because!");
  EXPECT_TRUE(with([&](Discussions all) { return all.hide_comment(1, comment.id); }).is_hidden);
  EXPECT_EQ(details(1).events[1].text, "");
  with([](Discussions all) { return all.change_title(1, "An answer", "me"); });
  EXPECT_EQ(details(1).events[2].from, "A question");
  EXPECT_EQ(details(1).events[2].to, "An answer");
  EXPECT_TRUE(
      refuses(StoreReason::no_discussion, [&] { with([](Discussions all) { return all.comment(2, "x", "me"); }); }));
  EXPECT_TRUE(
      refuses(StoreReason::no_entry, [&] { with([](Discussions all) { return all.edit_comment(1, "no", "x"); }); }));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { with([](Discussions all) { return all.comment(1, "", "me"); }); }));
  EXPECT_TRUE(
      refuses(StoreReason::malformed, [&] { with([](Discussions all) { return all.create("  ", "", "me"); }); }));
  EXPECT_TRUE(refuses(StoreReason::too_large,
      [&] { with([](Discussions all) { return all.comment(1, std::string(1 << 20, 'x'), "me"); }); }));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { merge(1); }));
}

TEST_F(DiscussionsTest, AMergeIsRefusedIfThePullRequestHasChangedSinceItsReview) {
  const std::string reviewed = pull_request("x", add("a", "1")).commit, main = git(info_, "rev-parse main");
  Repo repo = store_->repo(info_);
  const std::string head = Committer(repo).commit("refs/pr/1", request("more", add("b", "2")), bot_).commit;
  EXPECT_TRUE(refuses(StoreReason::head_moved, [&] { merge(1, reviewed); }, head));
  EXPECT_EQ(git(info_, "rev-parse main"), main);
  EXPECT_EQ(details(1).discussion.status, Status::open);
  merge(1, head);
  EXPECT_EQ(details(1).discussion.status, Status::merged);
}

TEST_F(DiscussionsTest, AMergeKeepsLaterChangesOfTheBranch) {
  commit(info_, "base", add("a", "1"), add("b", "1"), add("gone", "1"));
  pull_request("x", add("a", "2"));
  Repo repo = store_->repo(info_);
  Committer(repo).commit("refs/pr/1", request("and", DeleteFile{"gone"}, add("gone/now a folder", "1")), bot_);
  commit(info_, "meanwhile", add("b", "3"));
  EXPECT_TRUE(details(1).conflicts.empty());
  EXPECT_EQ(merge(1).status, Status::merged);
  EXPECT_EQ(content(info_, "a"), "2");
  EXPECT_EQ(content(info_, "b"), "3");
  EXPECT_EQ(content(info_, "gone/now a folder"), "1");
  EXPECT_TRUE(refuses(StoreReason::conflict, [&] { merge(1); }));
  EXPECT_TRUE(refuses(StoreReason::conflict,
      [&] { with([](Discussions all) { return all.change_status(1, Status::open, "", "me"); }); }));
  EXPECT_EQ(details(1).events.size(), 4u);
}

TEST_F(DiscussionsTest, AConflictNamesTheFilesAndMovesNoRef) {
  commit(info_, "base", add("a", "1"), add("d", "1"));
  pull_request("x", add("a", "2"));
  Repo repo = store_->repo(info_);
  Committer(repo).commit("refs/pr/1", request("more", add("d", "2"), add("new", "1"), add("f/x", "1")), bot_);
  std::string head = commit(info_, "meanwhile", add("a", "3"), DeleteFile{"d"}, add("new", "2"), add("f", "a file"));
  EXPECT_THAT(details(1).conflicts, ElementsAre("a", "d", "new", "f/x"));
  try {
    merge(1);
    FAIL();
  } catch (const StoreError& error) {
    EXPECT_EQ(error.reason(), StoreReason::conflict);
    EXPECT_THAT(error.paths(), ElementsAre("a", "d", "new", "f/x"));
  }
  EXPECT_EQ(repo.commit_at("main"), head);
  EXPECT_EQ(details(1).discussion.status, Status::open);
}

TEST_F(DiscussionsTest, TheSameChangeOnBothSidesIsNotAConflict) {
  pull_request("x", add("a", "2"));
  commit(info_, "meanwhile", add("a", "2"));
  EXPECT_EQ(merge(1).status, Status::merged);
}

TEST_F(DiscussionsTest, APullRequestStartsAtItsParentCommit) {
  std::string base = store_->repo(info_).commit_at("main");
  commit(info_, "meanwhile", add("b", "1"));
  pull_request("x", add("a", "1"), base);
  EXPECT_EQ(git(info_, "rev-parse refs/pr/1~1"), base + "\n");
  EXPECT_EQ(details(1).events.size(), 2u);
  EXPECT_TRUE(refuses(StoreReason::no_revision, [&] { pull_request("x", add("a", "1"), std::string(40, 'b')); }));
  EXPECT_FALSE(store_->repo(info_).find_commit("refs/pr/2"));
}

TEST_F(DiscussionsTest, OpeningTheStoreCompletesWhatAKillInterrupted) {
  CommitResult first = pull_request("one", add("a", "1"));
  pull_request("two", add("b", "1"));
  std::string merged = store_->repo(info_).git_folder().string();
  store_.reset();
  // Killed between the ref of a pull request and its row; between moving the branch and recording the merge; before
  // moving the branch.
  std::string folder = (folder_.path() / "data").string();
  auto database = run("test -f " + folder + "/hub.sqlite");
  ASSERT_EQ(database.status, 0);
  std::string commit =
      run("git -C " + merged + " -c user.name=me -c user.email=m commit-tree -m 'one (#1)' -p main refs/pr/1^{tree}")
          .output.substr(0, 40);
  std::string lost =
      run("git -C " + merged + " -c user.name=me -c user.email=m commit-tree -m 'two (#2)' -p main refs/pr/2^{tree}")
          .output.substr(0, 40);
  ASSERT_EQ(run("git -C " + merged + " update-ref refs/heads/main " + commit).status, 0);
  ASSERT_EQ(run("git -C " + merged + " update-ref refs/pr/3 " + first.commit).status, 0);
  std::ofstream(merged + "/refs/heads/main.lock") << "stale";
  test_sql(folder_.path() / "data",
      "INSERT INTO reserved VALUES(1, 3); UPDATE repos SET next_number = 4;"
      "UPDATE discussions SET merge_commit = '" +
          commit + "' WHERE number = 1; UPDATE discussions SET merge_commit = '" + lost + "' WHERE number = 2;");
  reopen();
  EXPECT_EQ(details(1).discussion.status, Status::merged);
  EXPECT_EQ(details(1).events.back().author, "me");
  EXPECT_EQ(details(2).discussion.status, Status::open);
  EXPECT_FALSE(store_->repo(info_).find_commit("refs/pr/3"));
  EXPECT_EQ(pull_request("four", add("c", "1")).pull_request, 4u);
  EXPECT_EQ(merge(2).status, Status::merged);  // the stale lock file was removed
}

}  // namespace
}  // namespace depickle::server::repos
