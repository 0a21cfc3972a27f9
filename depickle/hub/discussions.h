// Discussions and pull requests: one sequence of numbers a repository.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/client.h"

namespace depickle::hub {

enum class DiscussionStatus { open, closed, merged, draft };

/// "open", "closed", "merged", "draft".
std::string_view name(DiscussionStatus status) noexcept;

struct Discussion {
  uint64_t number = 0;
  std::string title;
  DiscussionStatus status = DiscussionStatus::open;
  bool is_pull_request = false;
  std::string author;      ///< empty where the account is gone
  std::string created_at;  ///< ISO 8601, UTC

  /// "refs/pr/N".
  std::string revision() const { return pull_request_revision(number); }
};

/// One thing that happened in a discussion. What does not belong to its kind is empty.
struct DiscussionEvent {
  std::string id;
  std::string type;  ///< "comment", "status-change", "title-change", "commit", or a word that we do not know
  std::string author;
  std::string created_at;
  std::string text;    ///< comment: what it says now, in Markdown; commit: its subject; title-change: the new title
  std::string status;  ///< status-change: the new one
  std::string commit;  ///< commit: its id
  bool is_hidden = false;
};

struct DiscussionDetails : Discussion {
  std::vector<DiscussionEvent> events;
  std::string target;                  ///< of a pull request: the branch it would change, "refs/heads/main"
  std::string merge_commit;            ///< once it is merged
  std::vector<std::string> conflicts;  ///< paths that both sides have changed
  bool has_conflicts = false;
  std::string diff;  ///< unified, where the Hub gives one
};

struct DiscussionFilter {
  enum class Kind { all, discussion, pull_request };
  enum class State { all, open, closed };
  Kind kind = Kind::all;
  State state = State::all;
  std::string author = {};
};

/// All pages, newest first; at most 100,000, else Error{limit}.
std::vector<Discussion> list_discussions(const Client& client, const RepoId& repo, const DiscussionFilter& filter = {});
DiscussionDetails discussion(const Client& client, const RepoId& repo, uint64_t number);

/// Returns its number. A pull request that is opened so is a draft without a change; hub::commit() opens one with its change.
uint64_t open_discussion(const Client& client, const RepoId& repo, std::string_view title, std::string_view text,
    bool is_pull_request = false);
void comment(const Client& client, const RepoId& repo, uint64_t number, std::string_view text);
/// To open or closed; `text`, where given, is said with it.
void change_status(
    const Client& client, const RepoId& repo, uint64_t number, DiscussionStatus status, std::string_view text = {});
void rename_discussion(const Client& client, const RepoId& repo, uint64_t number, std::string_view title);
/// Brings the pull request into its branch. Throws Failure where that cannot be done: is_conflict() where both have changed.
void merge_pull_request(const Client& client, const RepoId& repo, uint64_t number, std::string_view text = {});

}  // namespace depickle::hub
