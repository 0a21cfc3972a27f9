// Users and their tokens.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/base/time.h"

namespace depickle::server {
class Database;
}

namespace depickle::server::repos {

struct User {
  std::string id;  ///< 24 hexadecimal digits
  std::string name;
  Moment created_at = 0;
};

/// The user who sent a request, found by the token.
struct Caller {
  User user;
  bool may_write = false;  ///< the token is a write token
  Moment token_created_at = 0;
};

/// Safe to use from several threads and processes: `depickle user add` works while a server is running.
class Users {
 public:
  /// For a program that is not the server. Creates the data folder and its database if they do not exist, and takes
  /// no lock.
  static Users open(const std::filesystem::path& data_folder);
  explicit Users(std::shared_ptr<Database> database) : database_(std::move(database)) {}

  /// Creates a token ("hf_" and 40 letters and digits) for `name`, and the user if it does not exist. Only the
  /// token's SHA-256 is stored, so it cannot be shown again. Throws StoreError{malformed} if the name is not valid;
  /// {exists} if an organization has it.
  std::string add_token(std::string_view name, bool may_write);
  /// Deletes all tokens of `name`. Returns false if the user does not exist.
  bool revoke_tokens(std::string_view name);

  /// Returns nullopt if the token is unknown.
  std::optional<Caller> find_caller(std::string_view token) const;
  std::optional<User> find(std::string_view name) const;

 private:
  std::shared_ptr<Database> database_;
};

}  // namespace depickle::server::repos
