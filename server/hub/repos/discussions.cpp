#include "server/hub/repos/discussions.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/git/diff.h"
#include "server/hub/git/store_error.h"
#include "server/hub/repos/pull_request.h"

namespace depickle::server::repos {
namespace {

constexpr std::string_view kStatus[] = {"draft", "open", "closed", "merged"};
constexpr uint64_t kMaxCommits = 1000;  // of one pull request, in its events and its merge message
constexpr const char* kColumns =
    "number, title, author, status, pull_request, created_at, base, merge_commit, "
    "(SELECT COUNT(*) FROM events e WHERE e.repo = d.repo AND e.number = d.number AND e.kind = 0) ";
constexpr const char* kEventColumns = "id, kind, author, created_at, text, other, hidden, edits, edited_at";

Discussion read_discussion(const Row& row) {
  Discussion discussion;
  discussion.number = static_cast<uint64_t>(row.number(0));
  discussion.title = row.text(1);
  discussion.author = row.text(2);
  discussion.status = static_cast<Status>(row.number(3));
  discussion.is_pull_request = row.number(4) != 0;
  discussion.created_at = row.number(5);
  discussion.base = row.text(6);
  // Before the merge is complete, the column contains the commit that the merge will use.
  if (discussion.status == Status::merged) discussion.merge_commit = row.text(7);
  discussion.comments = static_cast<uint64_t>(row.number(8));
  return discussion;
}

DiscussionEvent read_event(const Row& row) {
  DiscussionEvent event;
  event.id = row.text(0);
  event.type = static_cast<DiscussionEvent::Type>(row.number(1));
  event.author = row.text(2);
  event.created_at = row.number(3);
  event.is_hidden = row.number(6) != 0;
  event.edits = static_cast<uint64_t>(row.number(7));
  event.edited_at = row.number(8);
  if (event.type == DiscussionEvent::Type::status_change)
    event.status = status_named(row.text(4)).value_or(Status::open);
  if (event.type == DiscussionEvent::Type::title_change) {
    event.from = row.text(4);
    event.to = row.text(5);
  }
  if (event.type == DiscussionEvent::Type::comment && !event.is_hidden) event.text = row.text(4);
  return event;
}

// The pull request's own commits, oldest first. Read from git, so that pushed commits are included.
std::vector<DiscussionEvent> commit_events(
    const Repo& repo, const git::Repository& git, const git_oid& head, const std::vector<git_oid>& hidden) {
  git_revwalk* created = nullptr;
  git::check_git(git_revwalk_new(&created, git.get()), "walk the history");
  git::Owned<git_revwalk, git_revwalk_free> walk(created);
  git_revwalk_sorting(created, GIT_SORT_TOPOLOGICAL | GIT_SORT_REVERSE);
  git::check_git(git_revwalk_push(created, &head), "walk the history");
  for (const git_oid& oid : hidden) git::check_git(git_revwalk_hide(created, &oid), "walk the history");
  std::vector<DiscussionEvent> events;
  for (git_oid oid; events.size() < kMaxCommits && git_revwalk_next(&oid, created) == 0;) {
    git::Commit commit = repo.commit(git::hex(oid));
    DiscussionEvent event;
    event.type = DiscussionEvent::Type::commit;
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

// Sorts the commits into the events by date. The description stays first: the date of a commit has a resolution of
// one second, so a commit may seem as old as the description.
void insert_commits(std::vector<DiscussionEvent>& events, const std::vector<DiscussionEvent>& commits) {
  auto after_description = [&] { return events.begin() + std::min<ptrdiff_t>(1, std::ssize(events)); };
  events.insert(after_description(), commits.begin(), commits.end());
  std::stable_sort(after_description(), events.end(),
      [](const DiscussionEvent& a, const DiscussionEvent& b) { return a.created_at / 1000 < b.created_at / 1000; });
}

std::string merge_message(const Discussion& discussion, const std::vector<DiscussionEvent>& commits) {
  std::string text = fmt::format("{} (#{})\n\n", discussion.title, discussion.number);
  for (const DiscussionEvent& commit : commits) text += fmt::format("- {} ({})\n", commit.subject, commit.oid);
  return text;
}

// The current head and base of a pull request.
struct PullRequestRefs {
  git_oid base, head;
  std::optional<git_oid> merge_base;
  git::OwnedTree merge_base_tree, head_tree;
};

std::optional<PullRequestRefs> refs_of(const git::Repository& git, const Discussion& discussion) {
  std::optional<git_oid> base = git.find_ref(discussion.base), head = git.find_ref(discussion.ref());
  if (!base || !head) return std::nullopt;
  PullRequestRefs refs{*base, *head, git::merge_base(git, *base, *head), nullptr, git.tree_of_commit(*head)};
  if (refs.merge_base) refs.merge_base_tree = git.tree_of_commit(*refs.merge_base);
  return refs;
}

}  // namespace

std::string_view name(Status status) noexcept { return kStatus[static_cast<int>(status)]; }

std::optional<Status> status_named(std::string_view text) noexcept {
  for (int i = 0; i < 4; ++i) {
    if (text == kStatus[i]) return static_cast<Status>(i);
  }
  return std::nullopt;
}

DiscussionPage Discussions::list(const DiscussionQuery& query) const {
  Database& database = *repo_.parts_.database;
  std::string where = "WHERE repo = ?1 AND (?2 = '' OR author = ?2)";
  if (query.pull_requests) where += *query.pull_requests ? " AND pull_request = 1" : " AND pull_request = 0";
  std::string closed = where + " AND status >= 2";
  if (query.status == DiscussionQuery::StatusFilter::open) where += " AND status < 2";
  if (query.status == DiscussionQuery::StatusFilter::closed) where = closed;
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
  if (!found) throw StoreError(StoreReason::no_discussion, fmt::format("discussion {} does not exist", number));
  return *found;
}

std::vector<DiscussionEvent> Discussions::stored_events(uint64_t number) const {
  std::vector<DiscussionEvent> events;
  repo_.parts_.database->each(
      fmt::format("SELECT {} FROM events WHERE repo = ? AND number = ? ORDER BY sequence", kEventColumns),
      {repo_.info_.key, signed_number(number)}, [&](const Row& row) { events.push_back(read_event(row)); });
  return events;
}

DiscussionDetails Discussions::details(uint64_t number, bool with_diff) const {
  DiscussionDetails details{at(number), stored_events(number), {}, {}};
  const Discussion& discussion = details.discussion;
  if (!discussion.is_pull_request) return details;
  const git::Repository& git = *repo_.git_;
  std::optional<PullRequestRefs> refs = refs_of(git, discussion);
  if (!refs) return details;
  git_oid opened_at = git::oid_of(repo_.parts_.database
          ->text("SELECT base_commit FROM discussions WHERE repo = ? AND number = ?",
              {repo_.info_.key, signed_number(number)})
          .value_or(git::hex(refs->base)));
  insert_commits(details.events, commit_events(repo_, git, refs->head, {refs->base, opened_at}));
  bool is_up_to_date = refs->merge_base && git_oid_equal(&*refs->merge_base, &refs->base);
  if (discussion.status != Status::merged && !is_up_to_date) {
    git::TreeEditor editor(git, git_commit_tree_id(git.commit(refs->base).get()));
    details.conflicts = git::merge_changes(git, editor, refs->merge_base_tree.get(), refs->head_tree.get());
  }
  if (with_diff) details.diff = repo_.diff(git::hex(refs->merge_base.value_or(opened_at)), git::hex(refs->head));
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
  git_oid base = git::oid_of(repo_.commit_at("refs/heads/main"));
  const RepoLock lock(parts.locks, repo_.info_.key);
  ReservedNumber reserved(parts, repo_.info_.key, lock);
  if (!repo_.git_->set_ref(reserved.ref(), base, nullptr))
    throw Error(Code::io, "", fmt::format("{} already exists", reserved.ref()));
  reserved.open_pull_request(line, description, by, Status::draft, "refs/heads/main", base);
  return at(reserved.number());
}

DiscussionEvent Discussions::comment(uint64_t number, std::string_view text, std::string_view by) {
  at(number);
  check_text(repo_.parts_.limits, text);
  if (text.empty()) throw StoreError(StoreReason::malformed, "the comment is empty");
  DiscussionEvent event;
  event.author = by;
  event.text = text;
  return insert_event(repo_.parts_, repo_.info_.key, number, event);
}

DiscussionEvent Discussions::at_comment(uint64_t number, std::string_view comment_id) const {
  std::optional<DiscussionEvent> found;
  repo_.parts_.database->each(
      fmt::format("SELECT {} FROM events WHERE repo = ? AND number = ? AND id = ? AND kind = 0", kEventColumns),
      {repo_.info_.key, signed_number(number), comment_id}, [&](const Row& row) { found = read_event(row); });
  if (!found) throw StoreError(StoreReason::no_entry, fmt::format("comment {} does not exist", quoted(comment_id)));
  return *found;
}

DiscussionEvent Discussions::edit_comment(uint64_t number, std::string_view comment_id, std::string_view text) {
  at_comment(number, comment_id);
  check_text(repo_.parts_.limits, text);
  repo_.parts_.database->run(
      "UPDATE events SET text = ?, edits = edits + 1, edited_at = ? WHERE id = ?", {text, now_ms(), comment_id});
  return at_comment(number, comment_id);
}

DiscussionEvent Discussions::hide_comment(uint64_t number, std::string_view comment_id) {
  at_comment(number, comment_id);
  repo_.parts_.database->run("UPDATE events SET hidden = 1, edited_at = ? WHERE id = ?", {now_ms(), comment_id});
  return at_comment(number, comment_id);
}

DiscussionEvent Discussions::change_title(uint64_t number, std::string_view title, std::string_view by) {
  StoreParts& parts = repo_.parts_;
  DiscussionEvent event;
  event.type = DiscussionEvent::Type::title_change;
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

DiscussionEvent Discussions::change_status(
    uint64_t number, Status status, std::string_view comment_text, std::string_view by) {
  StoreParts& parts = repo_.parts_;
  if (status != Status::open && status != Status::closed)
    throw StoreError(StoreReason::malformed, "the status can become open or closed");
  DiscussionEvent event;
  event.type = DiscussionEvent::Type::status_change;
  event.author = by;
  event.status = status;
  const RepoLock lock(parts.locks, repo_.info_.key);  // waits for a merge
  settle_merge(parts, repo_.info_.key, number);
  parts.database->transaction([&] {
    if (at(number).status == Status::merged)
      throw StoreError(StoreReason::conflict, "the pull request is already merged");
    if (!comment_text.empty()) comment(number, comment_text, by);
    parts.database->run("UPDATE discussions SET status = ? WHERE repo = ? AND number = ?",
        {int64_t(status), repo_.info_.key, signed_number(number)});
    event = insert_event(parts, repo_.info_.key, number, event);
  });
  return event;
}

DiscussionEvent Discussions::merge(
    uint64_t number, std::string_view expected_head, std::string_view comment_text, std::string_view by) {
  StoreParts& parts = repo_.parts_;
  const git::Repository& git = *repo_.git_;
  const RepoLock lock(parts.locks, repo_.info_.key);
  settle_merge(parts, repo_.info_.key, number);  // of an earlier request that failed half-way
  Discussion discussion = at(number);
  if (!discussion.is_pull_request)
    throw StoreError(StoreReason::malformed, fmt::format("discussion {} is not a pull request", number));
  if (discussion.status != Status::open && discussion.status != Status::draft) {
    throw StoreError(StoreReason::conflict, fmt::format("the pull request is {}", name(discussion.status)));
  }
  std::optional<PullRequestRefs> refs = refs_of(git, discussion);
  if (!refs) throw StoreError(StoreReason::conflict, "the pull request or its branch was deleted");
  if (!expected_head.empty() && expected_head != git::hex(refs->head)) {
    throw StoreError(StoreReason::head_moved,
        fmt::format("the pull request has changed (head is {}, expected {})", git::hex(refs->head),
            printable(expected_head, 80)),
        "review it again");
  }
  git::TreeEditor editor(git, git_commit_tree_id(git.commit(refs->base).get()));
  std::vector<std::string> conflicts =
      git::merge_changes(git, editor, refs->merge_base_tree.get(), refs->head_tree.get());
  if (!conflicts.empty()) {
    throw StoreError(StoreReason::conflict, fmt::format("both sides changed {}", quoted(conflicts.front())),
        "update the pull request", conflicts);
  }
  std::string message = merge_message(discussion, commit_events(repo_, git, refs->head, {refs->base}));
  git_oid commit = git.write_commit(editor.write(), &refs->base, by, message);
  if (!comment_text.empty()) comment(number, comment_text, by);
  parts.database->run("UPDATE discussions SET merge_commit = ? WHERE repo = ? AND number = ?",
      {git::hex(commit), repo_.info_.key, signed_number(number)});
  bool moved = git.set_ref(discussion.base, commit, &refs->base);
  settle_merge(parts, repo_.info_.key, number);
  if (!moved) throw StoreError(StoreReason::head_moved, "the branch moved during the merge", "try again");
  return stored_events(number).back();
}

}  // namespace depickle::server::repos
