#include "server/hub/store/discussions.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/store/pull_request.h"
#include "server/hub/store/store_error.h"

namespace depickle::server {
namespace {

constexpr std::string_view kStatus[] = {"draft", "open", "closed", "merged"};
constexpr uint64_t kMaxCommits = 1000;  // of one pull request, in its events and its merge message
constexpr const char* kColumns =
    "number, title, author, status, pull_request, created_at, base, merge_commit, "
    "(SELECT COUNT(*) FROM events e WHERE e.repo = d.repo AND e.number = d.number AND e.kind = 0) ";
constexpr const char* kEventColumns = "id, kind, author, created_at, text, other, hidden, edits, edited_at";

int64_t signed_number(uint64_t number) { return static_cast<int64_t>(number); }

Discussion read_discussion(const Row& row) {
  Discussion discussion;
  discussion.number = static_cast<uint64_t>(row.number(0));
  discussion.title = row.text(1);
  discussion.author = row.text(2);
  discussion.status = static_cast<Status>(row.number(3));
  discussion.is_pull_request = row.number(4) != 0;
  discussion.created_at = row.number(5);
  discussion.base = row.text(6);
  // Until it is merged, the column holds the intention of a merge.
  if (discussion.status == Status::merged) discussion.merge_commit = row.text(7);
  discussion.comments = static_cast<uint64_t>(row.number(8));
  return discussion;
}

Event read_event(const Row& row) {
  Event event;
  event.id = row.text(0);
  event.kind = static_cast<Event::Kind>(row.number(1));
  event.author = row.text(2);
  event.created_at = row.number(3);
  event.hidden = row.number(6) != 0;
  event.edits = static_cast<uint64_t>(row.number(7));
  event.edited_at = row.number(8);
  if (event.kind == Event::Kind::status_change) event.status = status_named(row.text(4)).value_or(Status::open);
  if (event.kind == Event::Kind::title_change) {
    event.from = row.text(4);
    event.to = row.text(5);
  }
  if (event.kind == Event::Kind::comment && !event.hidden) event.text = row.text(4);
  return event;
}

// The pull request's own commits, oldest first: git knows them best, pushed ones too.
std::vector<Event> commit_events(
    const Repo& repo, const Git& git, const git_oid& head, const std::vector<git_oid>& hidden) {
  git_revwalk* made = nullptr;
  git_checked(git_revwalk_new(&made, git.get()), "walk the history");
  GitOwned<git_revwalk, git_revwalk_free> walk(made);
  git_revwalk_sorting(made, GIT_SORT_TOPOLOGICAL | GIT_SORT_REVERSE);
  git_checked(git_revwalk_push(made, &head), "walk the history");
  for (const git_oid& oid : hidden) git_checked(git_revwalk_hide(made, &oid), "walk the history");
  std::vector<Event> events;
  for (git_oid oid; events.size() < kMaxCommits && git_revwalk_next(&oid, made) == 0;) {
    Commit commit = repo.commit(hex(oid));
    Event event;
    event.kind = Event::Kind::commit;
    event.id = commit.id.substr(0, 24);
    event.author = commit.author;
    event.created_at = commit.date;
    event.subject = commit.title;
    event.oid = commit.id;
    event.parents = commit.parents;
    events.push_back(std::move(event));
  }
  return events;
}

std::string merge_message(const Discussion& discussion, const std::vector<Event>& commits) {
  std::string text = fmt::format("{} (#{})\n\n", discussion.title, discussion.number);
  for (const Event& commit : commits) text += fmt::format("- {} ({})\n", commit.subject, commit.oid);
  return text;
}

// Both ends of a pull request and what they have in common, as git has them now.
struct Ends {
  git_oid base, head;
  std::optional<git_oid> common;
  GitTree common_tree, head_tree;
};

std::optional<Ends> ends_of(const Git& git, const Discussion& discussion) {
  std::optional<git_oid> base = git.find_ref(discussion.base), head = git.find_ref(discussion.ref());
  if (!base || !head) return std::nullopt;
  Ends ends{*base, *head, merge_base(git, *base, *head), nullptr, git.tree_of_commit(*head)};
  if (ends.common) ends.common_tree = git.tree_of_commit(*ends.common);
  return ends;
}

}  // namespace

std::string_view name(Status status) noexcept { return kStatus[static_cast<int>(status)]; }

std::optional<Status> status_named(std::string_view word) noexcept {
  for (int i = 0; i < 4; ++i) {
    if (word == kStatus[i]) return static_cast<Status>(i);
  }
  return std::nullopt;
}

DiscussionPage Discussions::list(const DiscussionQuery& query) const {
  Database& database = *repo_.parts_.database;
  std::string where = "WHERE repo = ?1 AND (?2 = '' OR author = ?2)";
  if (query.pull_requests) where += *query.pull_requests ? " AND pull_request = 1" : " AND pull_request = 0";
  std::string closed = where + " AND status >= 2";
  if (query.which == DiscussionQuery::Which::open) where += " AND status < 2";
  if (query.which == DiscussionQuery::Which::closed) where = closed;
  int64_t key = repo_.info_.key;
  DiscussionPage page;
  page.total = static_cast<uint64_t>(
      database.number("SELECT COUNT(*) FROM discussions d " + where, {key, query.author}).value_or(0));
  page.closed = static_cast<uint64_t>(
      database.number("SELECT COUNT(*) FROM discussions d " + closed, {key, query.author}).value_or(0));
  database.each(fmt::format("SELECT {} FROM discussions d {} ORDER BY number DESC LIMIT ?3 OFFSET ?4", kColumns, where),
      {key, query.author, signed_number(std::min<uint64_t>(query.limit, 1000)),
          signed_number(std::min<uint64_t>(query.offset, INT32_MAX))},
      [&](const Row& row) { page.discussions.push_back(read_discussion(row)); });
  return page;
}

Discussion Discussions::at(uint64_t number) const {
  std::optional<Discussion> found;
  repo_.parts_.database->each(fmt::format("SELECT {} FROM discussions d WHERE repo = ? AND number = ?", kColumns),
      {repo_.info_.key, signed_number(number)}, [&](const Row& row) { found = read_discussion(row); });
  if (!found) throw StoreError(StoreReason::no_discussion, fmt::format("there is no discussion {}", number));
  return *found;
}

DiscussionDetails Discussions::details(uint64_t number, bool with_diff) const {
  DiscussionDetails details{at(number), {}, {}, {}};
  const Discussion& discussion = details.discussion;
  repo_.parts_.database->each(
      fmt::format("SELECT {} FROM events WHERE repo = ? AND number = ? ORDER BY sequence", kEventColumns),
      {repo_.info_.key, signed_number(number)}, [&](const Row& row) { details.events.push_back(read_event(row)); });
  if (!discussion.is_pull_request) return details;

  const Git& git = *repo_.git_;
  std::optional<Ends> ends = ends_of(git, discussion);
  if (!ends) return details;
  git_oid opened_at = oid_of(repo_.parts_.database
          ->text("SELECT base_commit FROM discussions WHERE repo = ? AND number = ?",
              {repo_.info_.key, signed_number(number)})
          .value_or(hex(ends->base)));
  std::vector<Event> commits = commit_events(repo_, git, ends->head, {ends->base, opened_at});
  // Commits know their second only: one of the same second as the description still comes after it.
  details.events.insert(
      details.events.begin() + std::min<ptrdiff_t>(1, std::ssize(details.events)), commits.begin(), commits.end());
  std::stable_sort(details.events.begin() + std::min<ptrdiff_t>(1, std::ssize(details.events)), details.events.end(),
      [](const Event& a, const Event& b) { return a.created_at / 1000 < b.created_at / 1000; });

  if (discussion.status != Status::merged && !(ends->common && git_oid_equal(&*ends->common, &ends->base))) {
    TreeEditor editor(git, git_commit_tree_id(git.commit(ends->base).get()));
    details.conflicts = merge_into(git, editor, ends->common_tree.get(), ends->head_tree.get());
  }
  if (with_diff) details.diff = repo_.diff(hex(ends->common.value_or(opened_at)), hex(ends->head));
  return details;
}

Discussion Discussions::create(std::string_view title, std::string_view description, std::string_view by) {
  StoreParts& parts = repo_.parts_;
  check_text(parts.limits, description);
  Discussion discussion;
  discussion.title = checked_title(parts.limits, title);
  discussion.author = by;
  discussion.created_at = now_ms();
  parts.database->transaction([&] {
    discussion.number = next_number(parts, repo_.info_.key);
    insert_discussion(parts, repo_.info_.key, discussion, "", description);
  });
  return at(discussion.number);
}

Discussion Discussions::create_pull_request(std::string_view title, std::string_view description, std::string_view by) {
  StoreParts& parts = repo_.parts_;
  check_text(parts.limits, description);
  std::string line = checked_title(parts.limits, title);
  git_oid base = oid_of(repo_.commit_at("refs/heads/main"));
  ReservedNumber reserved(parts, repo_.info_.key);
  if (!repo_.git_->set_ref(reserved.ref(), base, nullptr))
    throw Error(Code::io, "", fmt::format("{} already exists", reserved.ref()));
  reserved.open_pull_request(line, description, by, Status::draft, "refs/heads/main", base);
  return at(reserved.number());
}

Event Discussions::comment(uint64_t number, std::string_view text, std::string_view by) {
  at(number);
  check_text(repo_.parts_.limits, text);
  if (text.empty()) throw StoreError(StoreReason::malformed, "a comment must not be empty");
  Event event;
  event.author = by;
  event.text = text;
  return insert_event(repo_.parts_, repo_.info_.key, number, event);
}

Event Discussions::at_comment(uint64_t number, std::string_view comment_id) const {
  std::optional<Event> found;
  repo_.parts_.database->each(
      fmt::format("SELECT {} FROM events WHERE repo = ? AND number = ? AND id = ? AND kind = 0", kEventColumns),
      {repo_.info_.key, signed_number(number), comment_id}, [&](const Row& row) { found = read_event(row); });
  if (!found) throw StoreError(StoreReason::no_entry, "there is no such comment");
  return *found;
}

Event Discussions::edit_comment(uint64_t number, std::string_view comment_id, std::string_view text) {
  at_comment(number, comment_id);
  check_text(repo_.parts_.limits, text);
  repo_.parts_.database->run(
      "UPDATE events SET text = ?, edits = edits + 1, edited_at = ? WHERE id = ?", {text, now_ms(), comment_id});
  return at_comment(number, comment_id);
}

Event Discussions::hide_comment(uint64_t number, std::string_view comment_id) {
  at_comment(number, comment_id);
  repo_.parts_.database->run("UPDATE events SET hidden = 1, edited_at = ? WHERE id = ?", {now_ms(), comment_id});
  return at_comment(number, comment_id);
}

Event Discussions::change_title(uint64_t number, std::string_view title, std::string_view by) {
  StoreParts& parts = repo_.parts_;
  Event event;
  event.kind = Event::Kind::title_change;
  event.author = by;
  event.to = checked_title(parts.limits, title);
  parts.database->transaction([&] {
    event.from = at(number).title;
    parts.database->run("UPDATE discussions SET title = ? WHERE repo = ? AND number = ?",
        {event.to, repo_.info_.key, signed_number(number)});
    event = insert_event(parts, repo_.info_.key, number, event);
  });
  return event;
}

Event Discussions::change_status(uint64_t number, Status status, std::string_view comment_text, std::string_view by) {
  StoreParts& parts = repo_.parts_;
  if (status != Status::open && status != Status::closed)
    throw StoreError(StoreReason::malformed, "the status can become open or closed");
  Event event;
  event.kind = Event::Kind::status_change;
  event.author = by;
  event.status = status;
  std::shared_ptr<std::mutex> mutex = parts.locks.of(repo_.info_.key);
  std::lock_guard lock(*mutex);  // not in the middle of a merge
  parts.database->transaction([&] {
    if (at(number).status == Status::merged)
      throw StoreError(StoreReason::conflict, "the pull request is merged already");
    if (!comment_text.empty()) comment(number, comment_text, by);
    parts.database->run("UPDATE discussions SET status = ? WHERE repo = ? AND number = ?",
        {int64_t(status), repo_.info_.key, signed_number(number)});
    event = insert_event(parts, repo_.info_.key, number, event);
  });
  return event;
}

Event Discussions::merge(uint64_t number, std::string_view comment_text, std::string_view by) {
  StoreParts& parts = repo_.parts_;
  const Git& git = *repo_.git_;
  std::shared_ptr<std::mutex> mutex = parts.locks.of(repo_.info_.key);
  std::lock_guard lock(*mutex);
  Discussion discussion = at(number);
  if (!discussion.is_pull_request)
    throw StoreError(StoreReason::malformed, fmt::format("discussion {} is no pull request", number));
  if (discussion.status != Status::open && discussion.status != Status::draft) {
    throw StoreError(StoreReason::conflict, fmt::format("the pull request is {}", name(discussion.status)));
  }
  std::optional<Ends> ends = ends_of(git, discussion);
  if (!ends) throw StoreError(StoreReason::conflict, "the pull request or its branch is gone");
  TreeEditor editor(git, git_commit_tree_id(git.commit(ends->base).get()));
  std::vector<std::string> conflicts = merge_into(git, editor, ends->common_tree.get(), ends->head_tree.get());
  if (!conflicts.empty()) {
    throw StoreError(StoreReason::conflict,
        fmt::format("the branch has changed {} otherwise", quoted(conflicts.front())),
        "bring the pull request up to date", conflicts);
  }
  std::string message = merge_message(discussion, commit_events(repo_, git, ends->head, {ends->base}));
  git_oid commit = git.write_commit(editor.write(), &ends->base, by, message);
  if (!comment_text.empty()) comment(number, comment_text, by);
  parts.database->run("UPDATE discussions SET merge_commit = ? WHERE repo = ? AND number = ?",
      {hex(commit), repo_.info_.key, signed_number(number)});
  bool moved = git.set_ref(discussion.base, commit, &ends->base);
  settle_merge(parts, repo_.info_, number);
  if (!moved) throw StoreError(StoreReason::head_moved, "the branch moved during the merge", "try again");
  Event event;
  parts.database->each(
      fmt::format("SELECT {} FROM events WHERE repo = ? AND number = ? ORDER BY sequence DESC LIMIT 1", kEventColumns),
      {repo_.info_.key, signed_number(number)}, [&](const Row& row) { event = read_event(row); });
  return event;
}

}  // namespace depickle::server
