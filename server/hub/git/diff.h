// The differences between two trees: printed, or applied to a third tree. Internal to the server/hub modules.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/hub/git/tree_editor.h"

namespace depickle::server::git {

/// Returns what `git diff` prints between two commits (40 digits), cut at `max_bytes`. LFS files appear as pointers.
std::string print_diff(
    const Repository& git, const std::string& from_commit, const std::string& to_commit, uint64_t max_bytes);

/// Returns nullopt if the commits have no common ancestor.
std::optional<git_oid> merge_base(const Repository& git, const git_oid& a, const git_oid& b);

/// Applies the changes from `before` to `after` to `editor`. A path that `editor` did not change since `before` takes
/// the change. Returns the conflicts: the paths that both sides changed differently.
std::vector<std::string> merge_changes(
    const Repository& git, TreeEditor& editor, const git_tree* before, const git_tree* after);

}  // namespace depickle::server::git
