#include "server/hub/store/pull_request.h"

#include <map>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/base/random_id.h"
#include "server/hub/store/store_error.h"

namespace depickle::server {
namespace {

int64_t signed_number(uint64_t number) { return static_cast<int64_t>(number); }

bool same(const std::optional<TreeEditor::File>& a, const std::optional<TreeEditor::File>& b) {
  return a.has_value() == b.has_value() && (!a || (a->mode == b->mode && git_oid_equal(&a->oid, &b->oid)));
}

struct PathChange {
  std::optional<TreeEditor::File> before, after;
};

std::map<std::string, PathChange> changes_between(const Git& git, const git_tree* before, const git_tree* after) {
  git_diff* made = nullptr;
  git_checked(
      git_diff_tree_to_tree(&made, git.get(), const_cast<git_tree*>(before), const_cast<git_tree*>(after), nullptr),
      "compare two trees");
  GitOwned<git_diff, git_diff_free> diff(made);
  std::map<std::string, PathChange> changes;
  auto file = [](const git_diff_file& side) {
    return TreeEditor::File{side.id, static_cast<git_filemode_t>(side.mode)};
  };
  for (size_t i = 0; i < git_diff_num_deltas(made); ++i) {
    const git_diff_delta* delta = git_diff_get_delta(made, i);
    if (delta->status != GIT_DELTA_ADDED) changes[delta->old_file.path].before = file(delta->old_file);
    if (delta->status != GIT_DELTA_DELETED) changes[delta->new_file.path].after = file(delta->new_file);
  }
  return changes;
}

}  // namespace

uint64_t next_number(StoreParts& parts, int64_t repo) {
  std::optional<int64_t> number;
  parts.database->transaction([&] {
    number = parts.database->number("SELECT next_number FROM repos WHERE key = ?", {repo});
    if (!number) throw StoreError(StoreReason::no_repo, "Repository not found");
    parts.database->run("UPDATE repos SET next_number = next_number + 1 WHERE key = ?", {repo});
  });
  return static_cast<uint64_t>(*number);
}

ReservedNumber::ReservedNumber(StoreParts& parts, int64_t repo) : parts_(parts), repo_(repo) {
  parts_.database->transaction([&] {
    number_ = next_number(parts_, repo_);
    parts_.database->run("INSERT INTO reserved VALUES(?, ?)", {repo_, signed_number(number_)});
  });
}

ReservedNumber::~ReservedNumber() {
  if (used_) return;
  try {
    remove_reserved(parts_, repo_, number_);
  } catch (const std::exception&) {
    // Opening the store will do it.
  }
}

void ReservedNumber::open_pull_request(std::string_view title, std::string_view description, std::string_view by,
    Status status, std::string_view base_ref, const git_oid& base_commit) {
  Discussion discussion;
  discussion.number = number_;
  discussion.title = title;
  discussion.author = by;
  discussion.status = status;
  discussion.is_pull_request = true;
  discussion.created_at = now_ms();
  discussion.base = base_ref;
  parts_.database->transaction([&] {
    insert_discussion(parts_, repo_, discussion, hex(base_commit), description);
    parts_.database->run("DELETE FROM reserved WHERE repo = ? AND number = ?", {repo_, signed_number(number_)});
    parts_.database->run("UPDATE repos SET modified_at = ? WHERE key = ?", {now_ms(), repo_});
  });
  used_ = true;
}

void remove_reserved(StoreParts& parts, int64_t repo, uint64_t number) {
  Git git(parts.git_folder(repo));
  std::string ref = "refs/pr/" + std::to_string(number);
  if (git.find_ref(ref)) git_checked(git_reference_remove(git.get(), ref.c_str()), "remove a ref");
  parts.database->run("DELETE FROM reserved WHERE repo = ? AND number = ?", {repo, signed_number(number)});
}

void insert_discussion(StoreParts& parts, int64_t repo, const Discussion& discussion, std::string_view base_commit,
    std::string_view description) {
  parts.database->run("INSERT INTO discussions VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
      {repo, signed_number(discussion.number), discussion.title, discussion.author, int64_t(discussion.status),
          int64_t{discussion.is_pull_request}, discussion.base, base_commit, discussion.created_at});
  Event first;
  first.author = discussion.author;
  first.text = description;
  insert_event(parts, repo, discussion.number, first);
}

Event insert_event(StoreParts& parts, int64_t repo, uint64_t number, Event event) {
  event.id = random_hex(24);
  event.created_at = event.edited_at = now_ms();
  std::string text = event.kind == Event::Kind::status_change  ? std::string(name(event.status))
                     : event.kind == Event::Kind::title_change ? event.from
                                                               : event.text;
  parts.database->run(
      "INSERT INTO events(id, repo, number, kind, author, created_at, text, other, edited_at) VALUES(?, ?, ?, ?, ?, ?, "
      "?, ?, ?)",
      {event.id, repo, signed_number(number), int64_t(event.kind), event.author, event.created_at, text, event.to,
          event.created_at});
  return event;
}

std::vector<std::string> merge_into(const Git& git, TreeEditor& editor, const git_tree* before, const git_tree* after) {
  std::vector<std::string> conflicts, deleted;
  std::map<std::string, TreeEditor::File> written;
  for (const auto& [path, change] : changes_between(git, before, after)) {
    std::optional<TreeEditor::File> ours = editor.find_file(path);
    if (same(ours, change.after)) continue;
    if (!same(ours, change.before)) {
      conflicts.push_back(path);
    } else if (change.after) {
      written.emplace(path, *change.after);
    } else {
      deleted.push_back(path);
    }
  }
  // Deletions first: a folder may take the place of a file.
  for (const std::string& path : deleted) editor.remove_file(path);
  for (const auto& [path, file] : written) {
    try {
      editor.put(path, file);
    } catch (const StoreError&) {
      conflicts.push_back(path);  // a file here, a folder there
    }
  }
  return conflicts;
}

std::optional<git_oid> merge_base(const Git& git, const git_oid& a, const git_oid& b) {
  git_oid base;
  int result = git_merge_base(&base, git.get(), &a, &b);
  if (result == GIT_ENOTFOUND) return std::nullopt;
  git_checked(result, "find what two commits have in common");
  return base;
}

void settle_merge(StoreParts& parts, const RepoInfo& repo, uint64_t number) {
  std::string base, commit;
  parts.database->each(
      "SELECT base, merge_commit FROM discussions WHERE repo = ? AND number = ? AND merge_commit IS NOT NULL AND "
      "status <> 3",
      {repo.key, signed_number(number)}, [&](const Row& row) {
        base = row.text(0);
        commit = row.text(1);
      });
  if (commit.empty()) return;
  Git git(parts.git_folder(repo.key));
  git_oid merged = oid_of(commit);
  std::optional<git_oid> head = git.find_ref(base);
  std::optional<git_oid> common = head && git.has(merged) ? merge_base(git, *head, merged) : std::nullopt;
  if (!common || !git_oid_equal(&*common, &merged)) {
    parts.database->run(
        "UPDATE discussions SET merge_commit = NULL WHERE repo = ? AND number = ?", {repo.key, signed_number(number)});
    return;
  }
  Event event;
  event.kind = Event::Kind::status_change;
  event.status = Status::merged;
  event.author = git_commit_author(git.commit(merged).get())->name;
  parts.database->transaction([&] {
    parts.database->run(
        "UPDATE discussions SET status = 3 WHERE repo = ? AND number = ?", {repo.key, signed_number(number)});
    insert_event(parts, repo.key, number, event);
    parts.database->run("UPDATE repos SET modified_at = ? WHERE key = ?", {now_ms(), repo.key});
  });
}

std::string checked_title(const Limits& limits, std::string_view title) {
  std::string_view line = title.substr(0, title.find_first_of("\r\n"));
  if (line.find_first_not_of(" \t") == line.npos) throw StoreError(StoreReason::malformed, "a title must not be empty");
  if (line.size() > limits.title_bytes)
    throw StoreError(
        StoreReason::too_large, fmt::format("the title is too long (at most {} bytes)", limits.title_bytes));
  return std::string(line);
}

void check_text(const Limits& limits, std::string_view text) {
  if (text.size() > limits.text_bytes)
    throw StoreError(
        StoreReason::too_large, fmt::format("the text is too long (at most {} bytes)", grouped(limits.text_bytes)));
}

}  // namespace depickle::server
