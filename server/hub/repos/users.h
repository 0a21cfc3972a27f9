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
}

namespace depickle::server::repos {

struct User {
  std::string id;  ///< 24 hexadecimal digits
  std::string name;
  Moment created_at = 0;
};

/// A token, without its text.
struct Token {
  std::string id;  ///< the first 12 digits of its SHA-256
  bool may_write = false;
  Moment created_at = 0;
};

struct UserTokens {
  User user;
  std::vector<Token> tokens;  ///< oldest first
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
  /// Deletes the token of `name` with this id; all tokens if it is empty. A deleted token is refused at once. Returns
  /// the number of deleted tokens. Throws StoreError{no_user}; {no_entry} if the token does not exist.
  int64_t revoke_tokens(std::string_view name, std::string_view id = {});
  /// Deletes the user, its tokens and its access to gated repositories. Throws StoreError{no_user}; {exists} if it
  /// owns repositories.
  void remove(std::string_view name);

  /// Returns nullopt if the token is unknown.
  std::optional<Caller> find_caller(std::string_view token) const;
  std::optional<User> find(std::string_view name) const;
  /// Returns all users, by name.
  std::vector<UserTokens> list() const;

 private:
  User existing(std::string_view name) const;

  std::shared_ptr<Database> database_;
};

}  // namespace depickle::server::repos
