// The list of repositories: their settings, and who may do what with them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/time.h"
#include "server/hub/repos/repo_id.h"
#include "server/hub/repos/users.h"

namespace depickle::server::repos {

struct StoreParts;

enum class Gate { open, automatic, manual };  ///< `gated`: false, "auto", "manual"

struct RepoSettings {
  bool is_private = false;
  Gate gate = Gate::open;
  bool is_disabled = false;
};

/// Only the members with a value change.
struct SettingsChange {
  std::optional<bool> is_private;
  std::optional<Gate> gate;
  std::optional<bool> is_disabled;
};

struct RepoInfo {
  int64_t key = 0;        ///< the store's own; a move does not change it
  std::string object_id;  ///< 24 hexadecimal digits: `_id`
  RepoId id;
  RepoSettings settings;
  Moment created_at = 0;
  Moment modified_at = 0;  ///< of the last commit on any branch or pull request
};

/// What a caller may do with one repository.
struct Rights {
  bool see =
      false;  ///< info and discussions; otherwise the response is the same as for a repository that does not exist
  bool read = false;     ///< files; see without read: the gate is closed (403 GatedRepo, 401 for an anonymous request)
  bool discuss = false;  ///< open discussions and pull requests, comment
  bool write = false;    ///< commit, merge, settings, delete
};

struct RepoQuery {
  RepoType type = RepoType::model;
  std::string search;        ///< a part of owner/name, in any case
  std::string owner;         ///< the whole owner
  bool newest_first = true;  ///< by modified_at; otherwise oldest first
  uint64_t offset = 0;
  uint64_t limit = 1000;
};

class RepoLock;

/// Who may do what:
/// - A namespace with the name of a user belongs to that user. Any other namespace is an organization with every user
/// as a member.
/// - Members see and read everything in the namespace; with a write token they write.
/// - Everybody, signed in or not, sees what is not private, and reads it unless it is gated. A gate is open for
/// members and
///   for users with an accepted access request (access_requests.h).
/// - A user who may read and has a write token may discuss and open pull requests, and may add commits to their own
/// pull requests.
/// - Nobody reads a disabled repository; its members see it.
///
/// Safe to use from several threads.
class Repos {
 public:
  explicit Repos(StoreParts& parts) : parts_(parts) {}

  /// Creates a repository with a first commit on main: a .gitattributes with the Hub's LFS patterns. Throws
  /// StoreError{exists}; {denied} if the namespace belongs to another user.
  RepoInfo create(const RepoId& id, const RepoSettings& settings, const Caller& by);
  void remove(const RepoId& id);
  /// The old name still finds the repository until another repository takes it. Throws StoreError{no_repo, exists}.
  RepoInfo move(const RepoId& from, const RepoId& to);
  /// Changes the settings that are given, and no other. Returns the settings afterwards. Throws StoreError{no_repo}.
  RepoInfo change(const RepoId& id, const SettingsChange& change);

  /// Finds a repository by its name or a former name. For a former name, `id` of the result differs and the caller
  /// redirects.
  std::optional<RepoInfo> find(const RepoId& id) const;
  /// Throws StoreError{no_repo}.
  RepoInfo at(const RepoId& id) const;
  /// Returns the repositories that `caller` may see. Throws StoreError{malformed} if the search is longer than 256
  /// bytes.
  std::vector<RepoInfo> list(const RepoQuery& query, const Caller* caller) const;

  /// `caller` is null for an anonymous request.
  Rights rights(const RepoInfo& repo, const Caller* caller) const;
  bool may_create(const RepoId& id, const Caller& caller) const;

  /// Creates a repository that is invisible until publish(). create() does both; the import fills the repository in
  /// between.
  RepoInfo prepare(const RepoId& id, const RepoSettings& settings, std::string_view by);
  void publish(const RepoInfo& repo);
  void abandon(const RepoInfo& repo);

 private:
  /// Locks the new repository until it is published, so that no other request takes it for an unfinished one.
  RepoInfo prepare(const RepoId& id, const RepoSettings& settings, std::string_view by, std::optional<RepoLock>& lock);
  /// Removes what a failed creation or deletion has left, which would block the name.
  void remove_unfinished(const RepoId& id);
  /// Also finds repositories that are not published. Throws StoreError{no_repo}.
  RepoInfo at_key(int64_t key) const;

  StoreParts& parts_;
};

}  // namespace depickle::server::repos
