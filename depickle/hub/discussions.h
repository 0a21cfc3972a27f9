// Discussions and pull requests. They share one sequence of numbers per repository.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/client.h"

namespace depickle::hub {

enum class DiscussionStatus { open, closed, merged, draft };

/// Returns "open", "closed", "merged" or "draft".
std::string_view name(DiscussionStatus status) noexcept;

struct Discussion {
  uint64_t number = 0;
  std::string title;
  DiscussionStatus status = DiscussionStatus::open;
  bool is_pull_request = false;
  std::string author;      ///< empty if the account was deleted
  std::string created_at;  ///< ISO 8601, UTC

  /// Returns "refs/pr/N".
  std::string revision() const { return pull_request_revision(number); }
};

/// An event of a discussion. Members that do not apply to its type are empty.
struct DiscussionEvent {
  std::string id;
  std::string type;  ///< "comment", "status-change", "title-change", "commit", or an unknown type
  std::string author;
  std::string created_at;
  std::string text;    ///< comment: latest text, Markdown; commit: subject; title-change: new title
  std::string status;  ///< status-change: new status
  std::string commit;  ///< commit: id
  bool is_hidden = false;
};

struct DiscussionDetails : Discussion {
  std::vector<DiscussionEvent> events;
  std::string target;                  ///< branch that a pull request changes, "refs/heads/main"
  std::string merge_commit;            ///< empty before the merge
  std::vector<std::string> conflicts;  ///< paths that both sides have changed
  bool has_conflicts = false;
  std::string diff;  ///< unified diff; may be empty
};

struct DiscussionFilter {
  enum class Kind { all, discussion, pull_request };
  enum class State { all, open, closed };
  Kind kind = Kind::all;
  State state = State::all;
  std::string author = {};
};

/// Returns all discussions, newest first. Throws Error{limit} if there are more than 100,000.
std::vector<Discussion> list_discussions(const Client& client, const RepoId& repo, const DiscussionFilter& filter = {});
DiscussionDetails discussion(const Client& client, const RepoId& repo, uint64_t number);

/// Returns the number. The pull request is a draft without changes; hub::commit() opens one with changes.
uint64_t open_discussion(const Client& client, const RepoId& repo, std::string_view title, std::string_view text,
    bool is_pull_request = false);
void comment(const Client& client, const RepoId& repo, uint64_t number, std::string_view text);
/// `status` is open or closed. `text` is added as a comment, if it is not empty.
void change_status(
    const Client& client, const RepoId& repo, uint64_t number, DiscussionStatus status, std::string_view text = {});
void rename_discussion(const Client& client, const RepoId& repo, uint64_t number, std::string_view title);
/// `expected_head` is the commit of the pull request that was reviewed; empty: any. The embedded Hub refuses the merge
/// if the pull request has another head; other Hubs may ignore it. Throws Failure if the pull request cannot be merged,
/// with is_conflict() if it has changed or the same files have changed on the branch.
void merge_pull_request(const Client& client, const RepoId& repo, uint64_t number, std::string_view expected_head,
    std::string_view text = {});

}  // namespace depickle::hub
