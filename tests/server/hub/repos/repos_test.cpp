#include <barrier>
#include <thread>

#include "tests/server/hub/store_fixture.h"

namespace depickle::server::repos {
namespace {

class ReposTest : public StoreTest {
 protected:
  Rights rights(const std::string& repo, const Caller* caller) {
    return store_->repos().rights(store_->repos().at(id(repo)), caller);
  }
};

TEST_F(ReposTest, ANewRepositoryIsAnOrdinaryGitRepository) {
  RepoInfo info = create_repo("me/demo");
  std::string link = (store_->folder() / "repos/models/me/demo.git").string();
  CommandResult cloned = run("git clone " + link + " " + (folder_.path() / "clone").string());
  ASSERT_EQ(cloned.status, 0) << cloned.output;
  EXPECT_NE(file_text(folder_.path() / "clone/.gitattributes").find("*.safetensors filter=lfs"), std::string::npos);
  EXPECT_EQ(git(info, "log --format='%an %s' main"), "me initial commit\n");
  EXPECT_EQ(git(info, "symbolic-ref HEAD"), "refs/heads/main\n");
}

TEST_F(ReposTest, NamesAreUniqueWithoutRegardToCase) {
  create_repo("me/demo");
  EXPECT_TRUE(refuses(StoreReason::exists, [&] { create_repo("me/demo"); }));
  EXPECT_TRUE(refuses(StoreReason::exists, [&] { create_repo("me/Demo"); }));
  store_->repos().create(RepoId::parse(RepoType::dataset, "me/demo"), {}, me_);
}

TEST_F(ReposTest, BadNamesAreRefused) {
  for (const char* name :
      {"demo", "me/", "/demo", "me/a/b", "me/..", "me/.git", "me/x.git", "me/a b", "me/a--b", "../x"}) {
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { id(name); })) << name;
  }
}

TEST_F(ReposTest, AMovedRepositoryIsFoundByItsOldName) {
  create_repo("me/old");
  store_->repos().move(id("me/old"), id("me/new"));
  std::optional<RepoInfo> found = store_->repos().find(id("me/old"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, id("me/new"));
  EXPECT_TRUE(std::filesystem::exists(store_->folder() / "repos/models/me/new.git/HEAD"));
  EXPECT_FALSE(std::filesystem::exists(store_->folder() / "repos/models/me/old.git"));
  create_repo("me/old");
  EXPECT_EQ(store_->repos().at(id("me/old")).id, id("me/old"));
  EXPECT_TRUE(refuses(StoreReason::exists, [&] { store_->repos().move(id("me/old"), id("me/new")); }));
}

TEST_F(ReposTest, ADeletedRepositoryIsNotFound) {
  RepoInfo info = create_repo("me/demo");
  std::filesystem::path folder = store_->repo(info).git_folder();
  store_->repos().remove(id("me/demo"));
  EXPECT_FALSE(std::filesystem::exists(folder));
  EXPECT_FALSE(store_->repos().find(id("me/demo")));
  EXPECT_TRUE(refuses(StoreReason::no_repo, [&] { store_->repos().remove(id("me/demo")); }));
  EXPECT_NE(create_repo("me/demo").key, info.key);
}

TEST_F(ReposTest, EverybodyReadsAPublicRepositoryAndItsOwnerWrites) {
  create_repo("me/demo");
  Caller other = user("other"), reader = user("me", false);
  EXPECT_TRUE(rights("me/demo", nullptr).read);
  EXPECT_FALSE(rights("me/demo", nullptr).discuss);
  EXPECT_TRUE(rights("me/demo", &other).discuss);
  EXPECT_FALSE(rights("me/demo", &other).write);
  EXPECT_TRUE(rights("me/demo", &me_).write);
  EXPECT_FALSE(rights("me/demo", &reader).write);
  EXPECT_FALSE(rights("me/demo", &reader).discuss);
}

TEST_F(ReposTest, APrivateRepositoryIsInvisibleToOthers) {
  create_repo("me/secret", {.is_private = true});
  Caller other = user("other"), reader = user("me", false);
  EXPECT_FALSE(rights("me/secret", nullptr).see);
  EXPECT_FALSE(rights("me/secret", &other).see);
  EXPECT_TRUE(rights("me/secret", &reader).read);
  EXPECT_TRUE(store_->repos().list({}, &other).empty());
  EXPECT_EQ(store_->repos().list({}, &me_).size(), 1u);
}

TEST_F(ReposTest, AGateIsOpenForUsersWithAccess) {
  RepoInfo info = create_repo("me/gated", {.gate = Gate::manual});
  Caller other = user("other");
  EXPECT_TRUE(rights("me/gated", &other).see);
  EXPECT_FALSE(rights("me/gated", &other).read);
  EXPECT_FALSE(rights("me/gated", nullptr).read);
  EXPECT_TRUE(rights("me/gated", &me_).read);
  store_->access_requests().grant(info, "other");
  EXPECT_TRUE(rights("me/gated", &other).read);
  EXPECT_TRUE(refuses(StoreReason::no_user, [&] { store_->access_requests().grant(info, "nobody"); }));
}

TEST_F(ReposTest, NobodyReadsADisabledRepository) {
  create_repo("me/demo");
  store_->repos().change(id("me/demo"), {.is_disabled = true});
  EXPECT_FALSE(rights("me/demo", &me_).read);
  EXPECT_TRUE(rights("me/demo", &me_).see);
}

TEST_F(ReposTest, ConcurrentChangesOfSettingsKeepEachOther) {
  create_repo("me/demo");
  for (int round = 0; round < 100; ++round) {
    store_->repos().change(id("me/demo"), {.is_private = false, .gate = Gate::open});
    std::barrier start(2);
    std::thread gates([&] {
      start.arrive_and_wait();
      store_->repos().change(id("me/demo"), {.gate = Gate::manual});
    });
    start.arrive_and_wait();
    store_->repos().change(id("me/demo"), {.is_private = true});
    gates.join();
    const RepoSettings settings = store_->repos().at(id("me/demo")).settings;
    ASSERT_TRUE(settings.is_private) << round;
    ASSERT_EQ(settings.gate, Gate::manual) << round;
  }
}

TEST_F(ReposTest, AChangeReturnsTheSettingsAfterwards) {
  create_repo("me/demo", {.is_private = true});
  const RepoSettings changed = store_->repos().change(id("me/demo"), {.gate = Gate::automatic}).settings;
  EXPECT_TRUE(changed.is_private);
  EXPECT_EQ(changed.gate, Gate::automatic);
  EXPECT_TRUE(refuses(StoreReason::no_repo, [&] { store_->repos().change(id("me/none"), {}); }));
}

TEST_F(ReposTest, OnlyMembersCreateRepositoriesInANamespace) {
  Caller other = user("other"), reader = user("other", false);
  EXPECT_TRUE(refuses(StoreReason::denied, [&] { store_->repos().create(id("me/x"), {}, other); }));
  EXPECT_TRUE(refuses(StoreReason::denied, [&] { store_->repos().create(id("other/x"), {}, reader); }));
  store_->repos().create(id("org/x"), {}, other);
  EXPECT_TRUE(rights("org/x", &me_).write);
  EXPECT_TRUE(refuses(StoreReason::exists, [&] { store_->users().add_token("org", true); }));
}

TEST_F(ReposTest, ListsSearchAndPage) {
  for (const char* name : {"me/bert", "me/gpt_2", "org/bert"}) create_repo(name);
  EXPECT_EQ(store_->repos().list({.search = "BERT"}, nullptr).size(), 2u);
  EXPECT_EQ(store_->repos().list({.search = "_"}, nullptr).size(), 1u);
  EXPECT_EQ(store_->repos().list({.search = "%"}, nullptr).size(), 0u);
  EXPECT_TRUE(refuses(
      StoreReason::malformed, [&] { store_->repos().list({.search = std::string(25'001, '_')}, nullptr); },
      "the search is too long"));
  EXPECT_EQ(store_->repos().list({.owner = "me"}, nullptr).size(), 2u);
  EXPECT_EQ(store_->repos().list({.offset = 1, .limit = 1}, nullptr).size(), 1u);
}

}  // namespace
}  // namespace depickle::server::repos
