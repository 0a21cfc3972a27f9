// Finds earlier pull requests by the files that they change, whoever opened them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/discussions.h"
#include "depickle/repo/plan.h"
#include "depickle/weights/pick.h"

namespace depickle::repo {

/// How many commits of a branch are searched for the base of a pull request.
inline constexpr size_t kMaxBranchCommits = 1000;

/// Loaders find a pull request by exactly this title and by its single commit on the branch's head.
inline constexpr std::string_view kTitle = "Adding `safetensors` variant of this model";

/// A pull request and the files at its head.
struct PullRequest {
  hub::Discussion discussion;
  std::string base;  ///< the merge base with the branch
  std::string head;
  std::vector<hub::RepoFile> files;  ///< at `head`
  std::string remark = {};           ///< why it does not count, for people; empty if it was not compared
};

/// How an earlier pull request relates to the new one.
enum class Relation {
  same,       ///< it contains exactly the converted files
  candidate,  ///< after its merge nothing would be left to do; only check() can tell whether its weights are right
  stale,      ///< from the same author, on an older commit: closed after the new one is opened
  part,       ///< it adds some of the files
  none,
};

/// The new pull request.
struct Intent {
  std::string commit;                    ///< its base
  std::string author;                    ///< the account that opens it
  std::vector<hub::RepoFile> files;      ///< at `commit`
  std::vector<std::string> new_files;    ///< Plan::new_files()
  std::vector<hub::RepoFile> converted;  ///< the converted files with their content ids; empty before the conversion
};

/// Returns the relation. `rest` is the plan for the repository after a merge of `request`.
///   same       it is open, and its files are exactly `files` and `converted`
///   candidate  it is open, and contains all of `converted`, or is based on `commit` with nothing to do in `rest`
///   stale      it is open, by `author`, with kTitle, and based on another commit
Relation relation(const PullRequest& request, const Plan& rest, const Intent& intent);

/// Returns the open pull requests into `branch`, drafts included, that contain a change; newest first, at most 200.
/// `branch_commits`: the branch's log, newest first.
std::vector<PullRequest> open_pull_requests(const hub::Client& client, const hub::RepoId& repo, std::string_view branch,
    const std::vector<hub::Commit>& branch_commits);

/// Returns the first commit of the pull request's log that the branch's log contains, if any.
std::optional<std::string> merge_base(
    const std::vector<hub::Commit>& request_commits, const std::vector<hub::Commit>& branch_commits);

/// Returns the branch that a pull request changes: "main".
std::string target_branch(const hub::DiscussionDetails& details);

/// Returns whether a pull request is one of ours by `author`, open or a draft.
bool is_own(const hub::Discussion& discussion, std::string_view author);

/// Returns the number of an open pull request into main at whose head weights::pick() finds safetensors, if there is
/// one.
std::optional<uint64_t> helpful_pull_request(const hub::Client& client, const hub::RepoId& repo,
    const std::optional<std::string>& model_index, const weights::PickOptions& options);

}  // namespace depickle::repo
