// The list of repositories: which exist, their settings, and who may do what with them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/time.h"
#include "server/hub/store/repo_id.h"
#include "server/hub/store/users.h"

namespace depickle::server {

struct StoreParts;

enum class Gate { open, automatic, manual };  ///< `gated`: false, "auto", "manual"

struct RepoSettings {
  bool is_private = false;
  Gate gate = Gate::open;
  bool disabled = false;
};

/// What changes; the rest stays.
struct SettingsChange {
  std::optional<bool> is_private;
  std::optional<Gate> gate;
  std::optional<bool> disabled;
};

struct RepoInfo {
  int64_t key = 0;        ///< the store's own; survives a move
  std::string object_id;  ///< 24 hexadecimal digits: `_id`
  RepoId id;
  RepoSettings settings;
  Moment created_at = 0;
  Moment modified_at = 0;  ///< of the last commit on any branch or pull request
};

/// What a caller may do with one repository.
struct Rights {
  bool see = false;      ///< may know that it exists: info, discussions; otherwise answer as if it did not
  bool read = false;     ///< files; see but not read: the gate is closed (403 GatedRepo, 401 where nobody is logged in)
  bool discuss = false;  ///< open discussions and pull requests, comment
  bool write = false;    ///< commit, merge, settings, delete
};

struct RepoQuery {
  RepoType type = RepoType::model;
  std::string search;        ///< part of owner/name, any case
  std::string owner;         ///< all of it
  bool newest_first = true;  ///< by modified_at; else oldest first
  uint64_t offset = 0;
  uint64_t limit = 1000;
};

/// Who may do what:
/// - A namespace with the name of a user belongs to that user. Any other namespace is an organisation that every user is a member of.
/// - Members see and read everything in the namespace; with a write token they write.
/// - Everybody, logged in or not, sees what is not private, and reads it unless it is gated. A gate opens for members and
///   for those who were given access with grant().
/// - Whoever reads with a write token discusses and opens pull requests; whoever opened a pull request adds to it.
/// - Nobody reads a disabled repository; its members see it.
///
/// Safe to use from several threads.
class Repos {
 public:
  explicit Repos(StoreParts& parts) : parts_(parts) {}

  /// With a first commit on main that holds .gitattributes with the Hub's LFS patterns. Throws StoreError{exists}, {denied} where the
  /// namespace is another's.
  RepoInfo create(const RepoId& id, const RepoSettings& settings, const Caller& by);
  void remove(const RepoId& id);
  /// The old name keeps finding the repository until another takes it. Throws StoreError{no_repo, exists}.
  RepoInfo move(const RepoId& from, const RepoId& to);
  RepoInfo change(const RepoId& id, const SettingsChange& change);

  /// By its name or a former one: then `id` of the answer differs from the one asked for, and the caller redirects.
  std::optional<RepoInfo> find(const RepoId& id) const;
  /// Throws StoreError{no_repo}.
  RepoInfo at(const RepoId& id) const;
  /// Those that `caller` may see.
  std::vector<RepoInfo> list(const RepoQuery& query, const Caller* caller) const;

  /// `caller` is null where nobody is logged in.
  Rights rights(const RepoInfo& repo, const Caller* caller) const;
  bool may_create(const RepoId& id, const Caller& caller) const;
  void grant(const RepoInfo& repo, std::string_view user);
  void revoke(const RepoInfo& repo, std::string_view user);

  /// A new repository that nobody sees until publish(): for the import, which fills it first. create() is the two together.
  RepoInfo prepare(const RepoId& id, const RepoSettings& settings, std::string_view by);
  void publish(const RepoInfo& repo);
  void abandon(const RepoInfo& repo);

 private:
  StoreParts& parts_;
};

}  // namespace depickle::server
