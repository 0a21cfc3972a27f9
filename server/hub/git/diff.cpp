#include "server/hub/git/diff.h"

#include <map>

#include "server/hub/git/store_error.h"

namespace depickle::server::git {
namespace {

using OwnedDiff = Owned<git_diff, git_diff_free>;

constexpr int64_t kMaxTextBytes = 1 << 20;  // git prints a larger file as binary

bool is_same_file(const std::optional<TreeEditor::File>& a, const std::optional<TreeEditor::File>& b) {
  return a.has_value() == b.has_value() && (!a || (a->mode == b->mode && git_oid_equal(&a->oid, &b->oid)));
}

struct PathChange {
  std::optional<TreeEditor::File> before, after;
};

OwnedDiff diff_of(
    const Repository& git, const git_tree* before, const git_tree* after, const git_diff_options* options) {
  git_diff* created = nullptr;
  check_git(
      git_diff_tree_to_tree(&created, git.get(), const_cast<git_tree*>(before), const_cast<git_tree*>(after), options),
      "compare two trees");
  return OwnedDiff(created);
}

std::map<std::string, PathChange> changes_between(
    const Repository& git, const git_tree* before, const git_tree* after) {
  OwnedDiff diff = diff_of(git, before, after, nullptr);
  std::map<std::string, PathChange> changes;
  auto file = [](const git_diff_file& side) {
    return TreeEditor::File{side.id, static_cast<git_filemode_t>(side.mode)};
  };
  for (size_t i = 0; i < git_diff_num_deltas(diff.get()); ++i) {
    const git_diff_delta* delta = git_diff_get_delta(diff.get(), i);
    if (delta->status != GIT_DELTA_ADDED) changes[delta->old_file.path].before = file(delta->old_file);
    if (delta->status != GIT_DELTA_DELETED) changes[delta->new_file.path].after = file(delta->new_file);
  }
  return changes;
}

struct PrintedDiff {
  std::string text;
  uint64_t max_bytes;
};

// A git_diff_line_cb. Stops at max_bytes.
int append_line(const git_diff_delta*, const git_diff_hunk*, const git_diff_line* line, void* payload) {
  PrintedDiff& printed = *static_cast<PrintedDiff*>(payload);
  if (printed.text.size() + line->content_len > printed.max_bytes) return 1;
  if (line->origin == '+' || line->origin == '-' || line->origin == ' ') printed.text += line->origin;
  printed.text.append(line->content, line->content_len);
  return 0;
}

}  // namespace

std::string print_diff(
    const Repository& git, const std::string& from_commit, const std::string& to_commit, uint64_t max_bytes) {
  OwnedTree from = git.tree_of_commit(oid_of(from_commit)), to = git.tree_of_commit(oid_of(to_commit));
  git_diff_options options;
  git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
  options.max_size = kMaxTextBytes;
  OwnedDiff diff = diff_of(git, from.get(), to.get(), &options);
  PrintedDiff printed{{}, max_bytes};
  int result = git_diff_print(diff.get(), GIT_DIFF_FORMAT_PATCH, append_line, &printed);
  if (result < 0) check_git(result, "print a diff");
  if (result > 0) printed.text += "\n… cut here: the diff is longer\n";
  return std::move(printed.text);
}

std::optional<git_oid> merge_base(const Repository& git, const git_oid& a, const git_oid& b) {
  git_oid base;
  int result = git_merge_base(&base, git.get(), &a, &b);
  if (result == GIT_ENOTFOUND) return std::nullopt;
  check_git(result, "find the merge base of two commits");
  return base;
}

std::vector<std::string> merge_changes(
    const Repository& git, TreeEditor& editor, const git_tree* before, const git_tree* after) {
  std::vector<std::string> conflicts, deleted;
  std::map<std::string, TreeEditor::File> written;
  for (const auto& [path, change] : changes_between(git, before, after)) {
    std::optional<TreeEditor::File> ours = editor.find_file(path);
    if (is_same_file(ours, change.after)) continue;
    if (!is_same_file(ours, change.before)) {
      conflicts.push_back(path);
    } else if (change.after) {
      written.emplace(path, *change.after);
    } else {
      deleted.push_back(path);
    }
  }
  // Deletions come first: a folder may replace a file.
  for (const std::string& path : deleted) editor.remove_file(path);
  for (const auto& [path, file] : written) {
    try {
      editor.put(path, file);
    } catch (const StoreError&) {
      conflicts.push_back(path);  // a file on one side, a folder on the other
    }
  }
  return conflicts;
}

}  // namespace depickle::server::git
