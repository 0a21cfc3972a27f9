#include <sys/wait.h>
#include <unistd.h>

#include "depickle/base/sha256.h"
#include "tests/server/hub/store_fixture.h"

namespace depickle::server::repos {
namespace {

class UsersTest : public StoreTest {};

TEST_F(UsersTest, ATokenIdentifiesItsUserAndItsRights) {
  std::string token = store_->users().add_token("anna", false);
  EXPECT_EQ(token.size(), 43u);
  std::optional<Caller> caller = store_->users().find_caller(token);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->user.name, "anna");
  EXPECT_FALSE(caller->may_write);
  EXPECT_FALSE(store_->users().find_caller(token + "x"));
  EXPECT_FALSE(store_->users().find_caller(""));
}

TEST_F(UsersTest, ASecondTokenBelongsToTheSameUser) {
  Caller first = user("anna"), second = user("anna", false);
  EXPECT_EQ(first.user.id, second.user.id);
  EXPECT_EQ(store_->users().find("anna")->id, first.user.id);
}

TEST_F(UsersTest, ARevokedTokenIsRefusedAtOnce) {
  const std::string first = store_->users().add_token("anna", true), second = store_->users().add_token("anna", false);
  const std::vector<UserTokens> users = store_->users().list();  // by name, with the fixture's "me"
  ASSERT_EQ(users.size(), 2u);
  EXPECT_EQ(users[0].user.name, "anna");
  EXPECT_EQ(users[0].tokens.size(), 2u);
  const std::string id = sha256_hex(bytes(first)).substr(0, 12);
  EXPECT_EQ(store_->users().revoke_tokens("anna", id), 1);
  EXPECT_FALSE(store_->users().find_caller(first));
  EXPECT_TRUE(store_->users().find_caller(second));
  EXPECT_TRUE(refuses(StoreReason::no_entry, [&] { store_->users().revoke_tokens("anna", id); }));
  EXPECT_TRUE(refuses(StoreReason::no_entry, [&] { store_->users().revoke_tokens("anna", id.substr(0, 1)); }));
  EXPECT_EQ(store_->users().revoke_tokens("anna"), 1);
  EXPECT_FALSE(store_->users().find_caller(second));
  EXPECT_TRUE(refuses(StoreReason::no_user, [&] { store_->users().revoke_tokens("nobody"); }));
}

TEST_F(UsersTest, ARemovedUserHasNoTokensAndKeepsNoRepositories) {
  const Caller anna = user("anna");
  const std::string token = store_->users().add_token("bob", true);
  store_->users().remove("bob");
  EXPECT_FALSE(store_->users().find_caller(token));
  EXPECT_FALSE(store_->users().find("bob"));
  EXPECT_TRUE(refuses(StoreReason::no_user, [&] { store_->users().remove("bob"); }));
  store_->repos().create(id("anna/m"), {}, anna);
  EXPECT_TRUE(refuses(StoreReason::exists, [&] { store_->users().remove("anna"); }));
}

TEST_F(UsersTest, TheDatabaseContainsNoToken) {
  std::string token = store_->users().add_token("anna", true);
  for (const char* file : {"hub.sqlite", "hub.sqlite-wal"})
    EXPECT_EQ(file_text(store_->folder() / file).find(token), std::string::npos);
}

TEST_F(UsersTest, BadNamesAreRefused) {
  for (const char* name : {"", ".", "..", "a/b", "-a", "a b", "a\n", "x.git", "a--b"}) {
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { store_->users().add_token(name, true); })) << name;
  }
}

TEST_F(UsersTest, AnotherProcessAddsAUserWhileTheServerRuns) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  pid_t child = ::fork();
  if (child == 0) {
    std::string token = Users::open(folder_.path() / "data").add_token("anna", true);
    ::_exit(::write(ends[1], token.data(), token.size()) == ssize_t(token.size()) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  char token[43];
  ASSERT_EQ(::read(ends[0], token, sizeof token), ssize_t(sizeof token));
  EXPECT_EQ(store_->users().find_caller({token, sizeof token})->user.name, "anna");
}

TEST_F(UsersTest, ASecondServerOnTheSameFolderIsRefused) {
  try {
    Store::open(folder_.path() / "data");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::io);
    EXPECT_EQ(error.message(), "another server is using this data folder");
  }
}

}  // namespace
}  // namespace depickle::server::repos
