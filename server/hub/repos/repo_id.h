// The name of a repository.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::server::repos {

enum class RepoType { model, dataset, space };

std::string_view singular(RepoType type) noexcept;  ///< "model"
std::string_view plural(RepoType type) noexcept;    ///< "models"
std::optional<RepoType> repo_type(std::string_view singular_or_plural) noexcept;

/// For example the model "me/demo". The type is part of the key: a dataset may have the same name.
struct RepoId {
  RepoType type = RepoType::model;
  std::string owner;  ///< the namespace: a user or an organization
  std::string name;

  /// Throws StoreError{malformed} unless `full` is owner/name by the Hub's rules: [A-Za-z0-9_.-], at most 96
  /// characters each, no `-` or `.` at either end, no `--` or `..`, not ending in .git.
  static RepoId parse(RepoType type, std::string_view full);
  std::string full() const { return owner + "/" + name; }
  auto operator<=>(const RepoId&) const = default;
};

/// Returns whether a user or an organization may have this name. The rules are those of a repository's name.
bool is_name(std::string_view name) noexcept;

}  // namespace depickle::server::repos
