// The difference between the file lists of two commits. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/client.h"

namespace depickle::repo {

struct FileChange {
  enum class Change { added, changed, deleted };
  enum class Kind { weights, index, pickle, code, config, other };
  Change change;
  Kind kind;
  std::string path;
  uint64_t size_bytes = 0;  ///< after the change; for a deleted file, before it
  /// It changes an index of safetensors that no library could load, because its shards did not exist.
  bool replaces_unusable_index = false;

  /// Returns whether a conversion makes this change: it adds a safetensors file or index, or replaces an unusable
  /// index.
  bool is_expected() const noexcept {
    return replaces_unusable_index || (change == Change::added && (kind == Kind::weights || kind == Kind::index));
  }
};
/// Returns "added", "changed" or "deleted".
std::string_view name(FileChange::Change change) noexcept;
/// Returns "weights" (safetensors), "index", "pickle", "code", "config" or "other".
std::string_view name(FileChange::Kind kind) noexcept;

/// Returns the kind of a file by its name alone.
FileChange::Kind kind_of(std::string_view path) noexcept;

/// Returns the changes, sorted by path. Two files are equal if their content ids are.
std::vector<FileChange> tree_diff(const std::vector<hub::RepoFile>& before, const std::vector<hub::RepoFile>& after);

}  // namespace depickle::repo
