// Discussions and pull requests of one repository.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/hub/store/commit.h"
#include "server/hub/store/repo.h"

namespace depickle::server {

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

struct Event {
  enum class Kind { comment, status_change, title_change, commit };
  Kind kind = Kind::comment;
  std::string id;  ///< 24 hexadecimal digits
  std::string author;
  Moment created_at = 0;

  std::string text;                  ///< comment: what it says now; hidden: empty
  bool hidden = false;               ///< comment
  uint64_t edits = 0;                ///< comment: how often it was changed
  Moment edited_at = 0;              ///< comment: created_at where it never was
  Status status = Status::open;      ///< status_change
  std::string from, to;              ///< title_change
  std::string subject, oid;          ///< commit
  std::vector<std::string> parents;  ///< commit
};

struct DiscussionDetails {
  Discussion discussion;
  std::vector<Event> events;  ///< oldest first; the description is the first comment
  std::vector<std::string>
      conflicts;     ///< of a pull request that is not merged: files that a merge would lose a change of
  std::string diff;  ///< of a pull request, where it was asked for
};

struct DiscussionQuery {
  std::optional<bool> pull_requests;                          ///< only those, or only the others
  enum class Which { all, open, closed } which = Which::all;  ///< open: with drafts; closed: with merged
  std::string author;
  uint64_t offset = 0;
  uint64_t limit = 50;
};

struct DiscussionPage {
  std::vector<Discussion> discussions;  ///< newest first
  uint64_t total = 0;                   ///< that match
  uint64_t closed = 0;                  ///< closed and merged, whatever `which` was
};

/// For one thread at a time, as its Repo. Rights have been checked by the caller; who an action is by is written down.
/// Unknown numbers throw StoreError{no_discussion}, empty or endless texts {malformed, too_large}.
class Discussions {
 public:
  explicit Discussions(Repo& repo) : repo_(repo) {}

  DiscussionPage list(const DiscussionQuery& query) const;
  Discussion at(uint64_t number) const;
  DiscussionDetails details(uint64_t number, bool with_diff) const;

  Discussion create(std::string_view title, std::string_view description, std::string_view by);
  /// A draft, its ref at the head of main: its commits follow.
  Discussion create_pull_request(std::string_view title, std::string_view description, std::string_view by);

  Event comment(uint64_t number, std::string_view text, std::string_view by);
  /// Throws StoreError{no_entry} for an unknown comment.
  Event edit_comment(uint64_t number, std::string_view comment_id, std::string_view text);
  Event hide_comment(uint64_t number, std::string_view comment_id);
  Event at_comment(uint64_t number, std::string_view comment_id) const;
  Event change_title(uint64_t number, std::string_view title, std::string_view by);
  /// open or closed, with a comment if there is one. Throws StoreError{conflict} where it is merged.
  Event change_status(uint64_t number, Status status, std::string_view comment, std::string_view by);
  /// One commit on the base branch, `TITLE (#N)`, whose message lists the pull request's commits. Each path by three-way rule: a side
  /// that did not change it yields. Throws StoreError{conflict} with the paths that both sides changed, {conflict} where it is closed or merged.
  Event merge(uint64_t number, std::string_view comment, std::string_view by);

 private:
  friend class Committer;
  Repo& repo_;
};

}  // namespace depickle::server
