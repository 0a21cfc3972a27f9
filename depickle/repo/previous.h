// Pull requests that others, or we, have opened before: found by what they change, not by their titles.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/discussions.h"
#include "depickle/repo/pick.h"
#include "depickle/repo/plan.h"

namespace depickle::repo {

/// Of a branch: so far back it is looked for the commit that a pull request stands on.
inline constexpr size_t kMaxBranchCommits = 1000;

/// Loaders find a pull request by this title, spelled just so, and by its one commit on the branch's head.
inline constexpr std::string_view kTitle = "Adding `safetensors` variant of this model";

/// A pull request with the files that it would leave behind.
struct PullRequest {
  hub::Discussion discussion;
  std::string base;  ///< the last commit that it shares with the branch
  std::string head;
  std::vector<hub::RepoFile> files;  ///< at `head`
};

/// What an earlier pull request means for the one that is about to be opened.
enum class Relation {
  same,   ///< it does the work: another one would repeat it
  stale,  ///< ours, on an older commit: to be closed when the new one is open
  part,   ///< it adds some of the files
  none,
};

/// What relation() decides by.
struct Intent {
  std::string commit;                    ///< what the new pull request will stand on
  std::string author;                    ///< who will open it
  std::vector<std::string> new_files;    ///< Plan::new_files()
  std::vector<hub::RepoFile> converted;  ///< those of them whose sha256 is known; empty before the conversion
};

/// `rest` is the plan of the repository as the pull request would leave it: whether it leaves anything to do.
///   same    it is open, and stands on `commit` and leaves nothing to do, or holds all of `converted` (whatever it
/// stands on)
///   stale   it is open, `author`'s, with our title, and stands on another commit
Relation relation(const PullRequest& request, const Plan& rest, const Intent& intent);

/// The open pull requests of a repository (drafts too) that change something, newest first; at most 200 are looked at.
/// `branch_commits`:
/// the branch's log, newest first.
std::vector<PullRequest> open_pull_requests(
    const hub::Client& client, const hub::RepoId& repo, const std::vector<hub::Commit>& branch_commits);

/// Where the log of a pull request meets that of its branch; empty where it does not.
std::optional<std::string> merge_base(
    const std::vector<hub::Commit>& request_commits, const std::vector<hub::Commit>& branch_commits);

/// The number of an open pull request at which pick() would find safetensors; empty where none would.
std::optional<uint64_t> helpful_pull_request(const hub::Client& client, const hub::RepoId& repo,
    const std::optional<std::string>& model_index, const PickOptions& options);

}  // namespace depickle::repo
