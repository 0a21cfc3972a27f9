// Discussions and pull requests of one repository.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/hub/repos/commit.h"
#include "server/hub/repos/repo.h"

namespace depickle::server::repos {

enum class Status { draft, open, closed, merged };
std::string_view name(Status status) noexcept;
std::optional<Status> status_named(std::string_view name) noexcept;  ///< "open", "closed", "draft", "merged"

struct Discussion {
  uint64_t number = 0;  ///< discussions and pull requests share one sequence
  std::string title;
  std::string author;
  Status status = Status::open;
  bool is_pull_request = false;
  Moment created_at = 0;
  uint64_t comments = 0;
  std::string base = "refs/heads/main";  ///< of a pull request
  std::optional<std::string> merge_commit;

  std::string ref() const { return "refs/pr/" + std::to_string(number); }
};

struct DiscussionEvent {
  enum class Type { comment, status_change, title_change, commit };
  Type type = Type::comment;
  std::string id;  ///< 24 hexadecimal digits
  std::string author;
  Moment created_at = 0;

  std::string text;                  ///< comment: the current text; empty if it is hidden
  bool is_hidden = false;            ///< comment
  uint64_t edits = 0;                ///< comment: the number of edits
  Moment edited_at = 0;              ///< comment: created_at if it was never edited
  Status status = Status::open;      ///< status_change
  std::string from, to;              ///< title_change
  std::string subject, oid;          ///< commit
  std::vector<std::string> parents;  ///< commit
};

struct DiscussionDetails {
  Discussion discussion;
  std::vector<DiscussionEvent> events;  ///< oldest first; the description is the first comment
  std::vector<std::string> conflicts;   ///< of an unmerged pull request: the files that both sides changed
  std::string diff;                     ///< of a pull request, if it was requested
};

struct DiscussionQuery {
  std::optional<bool> pull_requests;  ///< true: only pull requests; false: only discussions
  enum class StatusFilter { all, open, closed };
  StatusFilter status = StatusFilter::all;  ///< open includes drafts; closed includes merged
  std::string author;
  uint64_t offset = 0;
  uint64_t limit = 50;
};

struct DiscussionPage {
  std::vector<Discussion> discussions;  ///< newest first
  uint64_t total = 0;                   ///< number of matches
  uint64_t closed = 0;                  ///< number of closed and merged matches, for any status filter
};

/// Used by one thread at a time, as its Repo. The caller has checked the rights; `by` is the user who is recorded.
/// Throws StoreError{no_discussion} for an unknown number, {malformed} for an empty text, {too_large}.
class Discussions {
 public:
  explicit Discussions(Repo& repo) : repo_(repo) {}

  DiscussionPage list(const DiscussionQuery& query) const;
  Discussion at(uint64_t number) const;
  DiscussionDetails details(uint64_t number, bool with_diff) const;

  Discussion create(std::string_view title, std::string_view description, std::string_view by);
  /// Creates a draft. Its ref is at the head of main; the client adds commits later.
  Discussion create_pull_request(std::string_view title, std::string_view description, std::string_view by);

  DiscussionEvent comment(uint64_t number, std::string_view text, std::string_view by);
  /// Throws StoreError{no_entry} for an unknown comment.
  DiscussionEvent edit_comment(uint64_t number, std::string_view comment_id, std::string_view text);
  DiscussionEvent hide_comment(uint64_t number, std::string_view comment_id);
  DiscussionEvent at_comment(uint64_t number, std::string_view comment_id) const;
  DiscussionEvent change_title(uint64_t number, std::string_view title, std::string_view by);
  /// Sets the status to open or closed, and adds `comment` if it is not empty. Throws StoreError{conflict} if it is
  /// merged.
  DiscussionEvent change_status(uint64_t number, Status status, std::string_view comment, std::string_view by);
  /// Adds one commit to the base branch, `TITLE (#N)`, whose message lists the pull request's commits. A path that
  /// only one side changed takes that change. `expected_head` is the commit that the caller has reviewed, 40 digits;
  /// empty: any. Throws StoreError{head_moved} if the pull request has another head; {conflict} with the paths that
  /// both sides changed, or if the pull request is closed or merged.
  DiscussionEvent merge(uint64_t number, std::string_view expected_head, std::string_view comment, std::string_view by);

 private:
  friend class Committer;
  std::vector<DiscussionEvent> stored_events(uint64_t number) const;

  Repo& repo_;
};

}  // namespace depickle::server::repos
