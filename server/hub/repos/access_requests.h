// Who may read a gated repository.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/time.h"
#include "server/hub/repos/repos.h"

namespace depickle::server {
class Database;
}

namespace depickle::server::repos {

/// Stored in the database as a number.
enum class AccessStatus { pending, accepted, rejected };

std::string_view name(AccessStatus status) noexcept;
std::optional<AccessStatus> access_status_named(std::string_view text) noexcept;

struct AccessRequest {
  std::string id;  ///< 24 hexadecimal digits
  std::string user;
  AccessStatus status = AccessStatus::pending;
  Moment requested_at = 0;
  std::string reason;  ///< of a rejection
};

/// A user with an accepted request may read the repository, see Repos::rights. Requests are deleted with their
/// repository and their user. All functions throw StoreError{malformed} if the repository is not gated. Safe to use
/// from several threads.
class AccessRequests {
 public:
  explicit AccessRequests(std::shared_ptr<Database> database) : database_(std::move(database)) {}

  /// Asks for access. An automatic gate accepts at once. Returns the request, also if it existed.
  AccessRequest ask(const RepoInfo& repo, std::string_view user);
  /// Returns the requests with this status, oldest first.
  std::vector<AccessRequest> list(const RepoInfo& repo, AccessStatus status) const;
  /// Accepts a user who may not have asked. Throws StoreError{no_user}; {malformed} if the user has access.
  AccessRequest grant(const RepoInfo& repo, std::string_view user);
  /// Moves the request of `user` to another list; `pending` withdraws a decision. Throws StoreError{no_user};
  /// {no_entry} if the request does not exist or has this status; {malformed} if the reason is too long.
  void set_status(const RepoInfo& repo, std::string_view user, AccessStatus status, std::string_view reason);
  /// Returns the user of a request. Throws StoreError{no_entry}.
  std::string user_of(const RepoInfo& repo, std::string_view request_id) const;

 private:
  std::optional<AccessRequest> find(const RepoInfo& repo, std::string_view user) const;
  void put(const RepoInfo& repo, std::string_view user, AccessStatus status);
  /// Returns the name as the user spells it. Throws StoreError{no_user}.
  std::string existing_user(std::string_view name) const;

  std::shared_ptr<Database> database_;
};

}  // namespace depickle::server::repos
