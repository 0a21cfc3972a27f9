#include "server/hub/repos/users.h"
#include "server/base/random_id.h"

#include <fmt/format.h>

#include "depickle/base/sha256.h"
#include "depickle/base/text.h"
#include "server/base/database.h"
#include "server/hub/git/store_error.h"
#include "server/hub/repos/repo_id.h"
#include "server/hub/repos/schema.h"

namespace depickle::server::repos {

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

bool Users::revoke_tokens(std::string_view name) {
  if (!find(name)) return false;
  database_->run("DELETE FROM tokens WHERE user = ?", {name});
  return true;
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

std::optional<User> Users::find(std::string_view name) const {
  std::optional<User> user;
  database_->each("SELECT id, name, created_at FROM users WHERE name = ?", {name},
      [&](const Row& row) { user = User{row.text(0), row.text(1), row.number(2)}; });
  return user;
}

}  // namespace depickle::server::repos
