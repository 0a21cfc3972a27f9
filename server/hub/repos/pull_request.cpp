#include "server/hub/repos/pull_request.h"
#include "server/base/random_id.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/git/diff.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::repos {

uint64_t next_number(StoreParts& parts, int64_t repo) {
  int64_t number = 0;
  parts.database->transaction([&] {
    std::optional<int64_t> next = parts.database->number("SELECT next_number FROM repos WHERE key = ?", {repo});
    if (!next) throw StoreError(StoreReason::no_repo, "Repository not found");
    number = *next;
    parts.database->run("UPDATE repos SET next_number = next_number + 1 WHERE key = ?", {repo});
  });
  return static_cast<uint64_t>(number);
}

ReservedNumber::ReservedNumber(StoreParts& parts, int64_t repo, const RepoLock&) : parts_(parts), repo_(repo) {
  std::vector<uint64_t> unfinished;
  parts_.database->each("SELECT number FROM reserved WHERE repo = ?", {repo_},
      [&](const Row& row) { unfinished.push_back(static_cast<uint64_t>(row.number(0))); });
  for (uint64_t number : unfinished) remove_reserved(parts_, repo_, number);
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
    return;  // the next reservation, or opening the store, removes it
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
    insert_discussion(parts_, repo_, discussion, git::hex(base_commit), description);
    parts_.database->run("DELETE FROM reserved WHERE repo = ? AND number = ?", {repo_, signed_number(number_)});
    parts_.database->run("UPDATE repos SET modified_at = ? WHERE key = ?", {now_ms(), repo_});
  });
  used_ = true;
}

void remove_reserved(StoreParts& parts, int64_t repo, uint64_t number) {
  git::Repository git(parts.git_folder(repo));
  std::string ref = "refs/pr/" + std::to_string(number);
  if (git.find_ref(ref)) git.remove_ref(ref);
  parts.database->run("DELETE FROM reserved WHERE repo = ? AND number = ?", {repo, signed_number(number)});
}

void insert_discussion(StoreParts& parts, int64_t repo, const Discussion& discussion, std::string_view base_commit,
    std::string_view description) {
  parts.database->run("INSERT INTO discussions VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
      {repo, signed_number(discussion.number), discussion.title, discussion.author, int64_t(discussion.status),
          int64_t{discussion.is_pull_request}, discussion.base, base_commit, discussion.created_at});
  DiscussionEvent first;
  first.author = discussion.author;
  first.text = description;
  insert_event(parts, repo, discussion.number, first);
}

DiscussionEvent insert_event(StoreParts& parts, int64_t repo, uint64_t number, DiscussionEvent event) {
  event.id = random_hex(24);
  event.created_at = event.edited_at = now_ms();
  std::string text = event.type == DiscussionEvent::Type::status_change  ? std::string(name(event.status))
                     : event.type == DiscussionEvent::Type::title_change ? event.from
                                                                         : event.text;
  parts.database->run(
      "INSERT INTO events(id, repo, number, kind, author, created_at, text, other, edited_at) VALUES(?, ?, ?, ?, ?, ?, "
      "?, ?, ?)",
      {event.id, repo, signed_number(number), int64_t(event.type), event.author, event.created_at, text, event.to,
          event.created_at});
  return event;
}

void settle_merge(StoreParts& parts, int64_t repo, uint64_t number) {
  std::string base, commit;
  parts.database->each(
      "SELECT base, merge_commit FROM discussions WHERE repo = ? AND number = ? AND merge_commit IS NOT NULL AND "
      "status <> 3",
      {repo, signed_number(number)}, [&](const Row& row) {
        base = row.text(0);
        commit = row.text(1);
      });
  if (commit.empty()) return;
  git::Repository git(parts.git_folder(repo));
  git_oid merged = git::oid_of(commit);
  std::optional<git_oid> head = git.find_ref(base);
  std::optional<git_oid> base_of_both =
      head && git.contains(merged) ? git::merge_base(git, *head, merged) : std::nullopt;
  if (!base_of_both || !git_oid_equal(&*base_of_both, &merged)) {
    parts.database->run(
        "UPDATE discussions SET merge_commit = NULL WHERE repo = ? AND number = ?", {repo, signed_number(number)});
    return;
  }
  DiscussionEvent event;
  event.type = DiscussionEvent::Type::status_change;
  event.status = Status::merged;
  event.author = git_commit_author(git.commit(merged).get())->name;
  parts.database->transaction([&] {
    parts.database->run(
        "UPDATE discussions SET status = 3 WHERE repo = ? AND number = ?", {repo, signed_number(number)});
    insert_event(parts, repo, number, event);
    parts.database->run("UPDATE repos SET modified_at = ? WHERE key = ?", {now_ms(), repo});
  });
}

std::string checked_title(const StoreLimits& limits, std::string_view title) {
  std::string_view line = title.substr(0, title.find_first_of("\r\n"));
  if (line.find_first_not_of(" \t") == line.npos) throw StoreError(StoreReason::malformed, "the title is empty");
  if (line.size() > limits.title_bytes)
    throw StoreError(StoreReason::too_large,
        fmt::format("the title is too long (have {} bytes, at most {})", line.size(), limits.title_bytes));
  return std::string(line);
}

void check_text(const StoreLimits& limits, std::string_view text) {
  if (text.size() > limits.text_bytes)
    throw StoreError(StoreReason::too_large, fmt::format("the text is too long (have {} bytes, at most {})",
                                                 grouped(text.size()), grouped(limits.text_bytes)));
}

}  // namespace depickle::server::repos
