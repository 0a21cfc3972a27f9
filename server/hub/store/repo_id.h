// The name of a repository, and the names of files in it.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::server {

enum class RepoType { model, dataset, space };

std::string_view singular(RepoType type) noexcept;  ///< "model"
std::string_view plural(RepoType type) noexcept;    ///< "models"
std::optional<RepoType> repo_type(std::string_view singular_or_plural) noexcept;

/// "me/demo" among the models. The type is part of the key: a dataset of the same name is another repository.
struct RepoId {
  RepoType type = RepoType::model;
  std::string owner;  ///< the namespace: a user or an organisation
  std::string name;

  /// Throws StoreError{malformed} unless `full` is owner/name by the Hub's rules: [A-Za-z0-9_.-], at most 96 characters each,
  /// no `-` or `.` at either end, no `--` or `..`, not ending in .git.
  static RepoId parse(RepoType type, std::string_view full);
  std::string full() const { return owner + "/" + name; }
  auto operator<=>(const RepoId&) const = default;
};

/// Whether a user or an organisation may be called so: the rules of a repository's name.
bool is_name(std::string_view name) noexcept;

/// `path` itself. Throws StoreError{malformed} for what cannot be a file's name in a repository: absolute; empty, `.`, `..`
/// or `.git` (in any case, and as file systems may spell it: `.git ` or `git~1`) as a component, control characters, backslashes,
/// bytes that are not UTF-8, more than `max_bytes`. `what` opens the error's text.
std::string checked_path(std::string_view path, uint64_t max_bytes, std::string_view what = "file name");

/// A branch or tag name that git would take. Throws StoreError{malformed}.
void check_ref_name(std::string_view name);

}  // namespace depickle::server
