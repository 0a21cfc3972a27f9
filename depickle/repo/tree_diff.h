// Two lists of files, and what kind of change leads from one to the other. Pure.
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
  uint64_t size_bytes = 0;  ///< after the change; before it where it is deleted

  /// What a pull request that adds safetensors may do: add safetensors and their indexes.
  bool is_expected() const noexcept {
    return change == Change::added && (kind == Kind::weights || kind == Kind::index);
  }
};
/// "added", "changed", "deleted".
std::string_view name(FileChange::Change change) noexcept;
/// "weights" (safetensors), "index", "pickle", "code", "config", "other".
std::string_view name(FileChange::Kind kind) noexcept;

/// By the name alone: what a loader would take the file for.
FileChange::Kind kind_of(std::string_view path) noexcept;

/// Sorted by path. Files are equal where their content ids are.
std::vector<FileChange> tree_diff(const std::vector<hub::RepoFile>& before, const std::vector<hub::RepoFile>& after);

}  // namespace depickle::repo
