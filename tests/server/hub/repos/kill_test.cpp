#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "tests/server/hub/store_fixture.h"

namespace depickle::server::repos {
namespace {

class KillTest : public StoreTest {
 protected:
  // A server that commits, opens pull requests and merges them in an endless loop, and writes each acknowledged one
  // to `acknowledged`.
  [[noreturn]] void serve(int acknowledged) {
    std::unique_ptr<Store> store = Store::open(folder_.path() / "data", limits_);
    Repo repo = store->repo(store->repos().at(id("me/demo")));
    auto file = [&](const std::string& path) {
      AddFile add{path, store->spool()};
      std::string text = path + std::string(3000, 'x');
      add.content.append(bytes(text));
      return add;
    };
    for (int i = 0;; ++i) {
      std::string name = std::to_string(::getpid()) + "-" + std::to_string(i);
      CommitResult commit =
          Committer(repo).commit("main", request("commit", file("c/" + name), file("w/" + name + ".bin")), me_);
      CommitResult opened = Committer(repo).commit_as_pull_request("main", request("pull", file("p/" + name)), me_);
      std::string line = commit.commit + " " + opened.commit + " " + std::to_string(*opened.pull_request);
      if (i % 2) {
        Discussions(repo).merge(*opened.pull_request, "", "", "me");
        line += " merged";
      }
      line += "\n";
      if (::write(acknowledged, line.data(), line.size()) < 0) ::_exit(1);
    }
  }
};

// Killing a process does not lose the page cache, so this test shows that a killed server leaves nothing half-written
// and recovers, not that it syncs; tests/python/hub/test_durable_store.py does.
TEST_F(KillTest, AKilledServerRecoversWithEveryAcknowledgedCommit) {
  RepoInfo info = create_repo("me/demo");
  std::string acknowledged;
  for (int round = 0; round < 8; ++round) {
    store_.reset();
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    pid_t child = ::fork();
    if (child == 0) serve(ends[1]);
    ::close(ends[1]);
    // After the first acknowledgement, at a different time in each round.
    char letter;
    ASSERT_EQ(::read(ends[0], &letter, 1), 1);
    acknowledged += letter;
    ::usleep(static_cast<useconds_t>(37'000 + round * 7'700));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    char buffer[4096];
    for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
      acknowledged.append(buffer, static_cast<size_t>(got));
    ::close(ends[0]);
    reopen();
  }
  Repo repo = store_->repo(info);
  std::istringstream lines(acknowledged);
  size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    std::istringstream words(line);
    std::string commit, pull_commit, merged;
    uint64_t number = 0;
    words >> commit >> pull_commit >> number >> merged;
    EXPECT_EQ(run("git -C " + repo.git_folder().string() + " merge-base --is-ancestor " + commit + " main").status, 0);
    EXPECT_EQ(repo.find_commit("refs/pr/" + std::to_string(number)), pull_commit);
    EXPECT_EQ(Discussions(repo).at(number).status, merged.empty() ? Status::open : Status::merged);
  }
  EXPECT_GE(count, 8u);
  EXPECT_EQ(git(info, "fsck --strict --full --no-dangling"), "");
  for (const git::Entry& file : repo.files(repo.commit_at("main"))) {
    FileContent content = repo.content(file);
    if (content.file) {
      EXPECT_EQ(sha256_hex(bytes(file_text(*content.file))), file.lfs->oid);
    }
  }
  // Refs and rows contain the same pull requests.
  EXPECT_EQ(repo.refs().pull_requests.size(), Discussions(repo).list({}).total);
  EXPECT_TRUE(std::filesystem::is_empty(store_->folder() / "tmp"));
  commit(info, "the store still works", add("a", "1"));
}

}  // namespace
}  // namespace depickle::server::repos
