// Users and their tokens.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/time.h"

namespace depickle::server {

class Database;

struct User {
  std::string id;  ///< 24 hexadecimal digits
  std::string name;
  Moment created_at = 0;
};

/// Who sent a request, by its token.
struct Caller {
  User user;
  bool may_write = false;  ///< a write token
  Moment token_created_at = 0;
};

/// Safe to use from several threads, and from several processes: `depickle user add` works beside a running server.
class Users {
 public:
  /// For a program that is not the server: creates the data folder and its database where there is none, takes no lock.
  static Users open(const std::filesystem::path& data_folder);
  explicit Users(std::shared_ptr<Database> database) : database_(std::move(database)) {}

  /// A fresh token ("hf_" and 40 letters and digits) of `name`, who is created where unknown. Only its SHA-256 is kept: it cannot
  /// be shown again. Throws StoreError{malformed} for a name that no user may have, {exists} where an organisation has it already.
  std::string add_token(std::string_view name, bool may_write);
  /// Forgets every token of `name`; false where there is no such user.
  bool revoke_tokens(std::string_view name);

  /// Nobody for a token that is unknown.
  std::optional<Caller> find_caller(std::string_view token) const;
  std::optional<User> find(std::string_view name) const;
  std::vector<User> list() const;

 private:
  std::shared_ptr<Database> database_;
};

}  // namespace depickle::server
