#include "server/hub/repos/users.h"

#include <fmt/format.h>

#include "depickle/base/sha256.h"
#include "depickle/base/text.h"
#include "server/base/database.h"
#include "server/base/random_id.h"
#include "server/hub/git/store_error.h"
#include "server/hub/repos/repo_id.h"
#include "server/hub/repos/schema.h"

namespace depickle::server::repos {
namespace {

constexpr int64_t kTokenIdDigits = 12;

}  // namespace

Users Users::open(const std::filesystem::path& data_folder) { return Users(open_store_database(data_folder)); }

std::string Users::add_token(std::string_view name, bool may_write) {
  if (!is_name(name)) {
    throw StoreError(StoreReason::malformed, fmt::format("{} is not a valid user name", quoted(name)),
        "use letters, digits, `-`, `_` and `.`");
  }
  std::string token = "hf_" + random_letters(40);
  database_->transaction([&] {
    if (!find(name)) {
      if (database_->number("SELECT 1 FROM repos WHERE owner = ?", {name})) {
        throw StoreError(StoreReason::exists,
            fmt::format("{} is the name of an organization with repositories", quoted(name)), "choose another name");
      }
      std::string id = random_hex(24);
      database_->run("INSERT INTO users VALUES(?, ?, ?)", {id, name, now_ms()});
    }
    std::string hash = sha256_hex(bytes(token));
    database_->run("INSERT INTO tokens VALUES(?, ?, ?, ?)", {hash, name, int64_t{may_write}, now_ms()});
  });
  return token;
}

User Users::existing(std::string_view name) const {
  if (const std::optional<User> user = find(name)) return *user;
  throw StoreError(StoreReason::no_user, fmt::format("the user {} does not exist", quoted(name)),
      "depickle user list shows all users");
}

int64_t Users::revoke_tokens(std::string_view name, std::string_view id) {
  int64_t revoked = 0;
  database_->transaction([&] {
    existing(name);
    revoked = database_->run(
        "DELETE FROM tokens WHERE user = ?1 AND (?2 = '' OR substr(sha256, 1, ?3) = ?2)", {name, id, kTokenIdDigits});
  });
  if (revoked == 0 && !id.empty())
    throw StoreError(StoreReason::no_entry, fmt::format("{} has no token {}", quoted(name), quoted(id)),
        "depickle user list shows all tokens");
  return revoked;
}

void Users::remove(std::string_view name) {
  database_->transaction([&] {
    existing(name);
    if (const auto count = database_->number("SELECT COUNT(*) FROM repos WHERE owner = ?", {name}); count.value_or(0))
      throw StoreError(StoreReason::exists, fmt::format("{} owns repositories ({})", quoted(name), *count),
          "delete or move them first");
    for (const char* sql : {"DELETE FROM tokens WHERE user = ?", "DELETE FROM access_requests WHERE user = ?",
             "DELETE FROM object_owners WHERE user = ?", "DELETE FROM users WHERE name = ?"})
      database_->run(sql, {name});
  });
}

std::optional<Caller> Users::find_caller(std::string_view token) const {
  std::optional<Caller> caller;
  std::string hash = sha256_hex(bytes(token));
  database_->each(
      "SELECT u.id, u.name, u.created_at, t.may_write, t.created_at FROM tokens t JOIN users u ON u.name = t.user "
      "WHERE t.sha256 = ?",
      {hash}, [&](const Row& row) {
        caller = Caller{{row.text(0), row.text(1), row.number(2)}, row.number(3) != 0, row.number(4)};
      });
  return caller;
}

std::vector<UserTokens> Users::list() const {
  std::vector<UserTokens> users;
  database_->each(
      "SELECT u.id, u.name, u.created_at, substr(t.sha256, 1, ?), t.may_write, t.created_at FROM users u "
      "LEFT JOIN tokens t ON t.user = u.name ORDER BY u.name, t.created_at, t.sha256",
      {kTokenIdDigits}, [&](const Row& row) {
        if (users.empty() || users.back().user.id != row.text(0))
          users.push_back({{row.text(0), row.text(1), row.number(2)}, {}});
        if (!row.null(3)) users.back().tokens.push_back({row.text(3), row.number(4) != 0, row.number(5)});
      });
  return users;
}

std::optional<User> Users::find(std::string_view name) const {
  std::optional<User> user;
  database_->each("SELECT id, name, created_at FROM users WHERE name = ?", {name},
      [&](const Row& row) { user = User{row.text(0), row.text(1), row.number(2)}; });
  return user;
}

}  // namespace depickle::server::repos
