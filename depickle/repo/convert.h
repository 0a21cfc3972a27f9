// Converts a repository to safetensors: plans at one commit, converts, compares, and opens one pull request.
//
//   resolve → list → plan → find earlier pull requests → download → convert and compare
//   → find earlier pull requests again, check the branch head → upload, commit
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/progress.h"
#include "depickle/convert/convert.h"
#include "depickle/hub/client.h"
#include "depickle/repo/plan.h"
#include "depickle/repo/previous.h"

namespace depickle::repo {

class Engine;

struct ConvertOptions {
  std::string revision = {};  ///< a branch, a tag or a commit; empty: the default branch. A pull request needs a branch
  /// Options for each file. `receipt`, if set, gets a copy of the receipt. `engine` also scans the pickles.
  convert::Options convert = {};
  Engine* checker = nullptr;  ///< compares earlier pull requests with their base; nullptr: local_engine(). Not owned
  std::string version = {};   ///< of the program, for the description
  Progress progress = {};
};

enum class Outcome {
  nothing_to_do,  ///< no pickle needs conversion
  already_open,   ///< an open pull request contains the same weights
  planned,        ///< a dry run
  failed,         ///< a file could not be converted (report.failed); no pull request was opened
  written,        ///< to a local folder
  opened,         ///< a pull request was opened
};
/// Returns the outcome's name: "nothing-to-do", "already-open" …
std::string_view name(Outcome outcome) noexcept;

/// The scan of a pickle: what loading it would execute.
struct RepoReport {
  Outcome outcome = Outcome::nothing_to_do;
  std::string repo;
  std::string commit;  ///< the converted commit
  Plan plan;
  convert::Report report;                ///< of the conversion, with paths from the repository's root
  std::vector<scan::ScannedFile> scans;  ///< of the converted files; in a dry run, of those to convert
  /// Earlier ones that add some of the files, or other weights (`remark`); one if the outcome is already_open.
  std::vector<PullRequest> previous;
  std::optional<uint64_t> pull_request;
  std::string pull_request_commit;  ///< the commit that was sent, as the Hub's answer names it; empty if none was
  std::string url;
  std::string title, description;    ///< of the pull request
  std::vector<uint64_t> superseded;  ///< the pull requests that were closed
  uint64_t downloaded_bytes = 0;
  std::vector<std::string> notes;
};

/// Returns the plan and, if `pull_request`, the pull request's text without the digests of the new files. Stores
/// nothing: reads file names, indexes and the tensors' tables, and compares open pull requests that add the same
/// models.
RepoReport plan_repo(
    const hub::Client& client, const hub::RepoId& repo, const ConvertOptions& options, bool pull_request);

/// Downloads the files of the plan and writes the safetensors below `target`. Throws Error as the Hub client and
/// convert_folder() do.
RepoReport convert_repo(const hub::Client& client, const hub::RepoId& repo, const std::filesystem::path& target,
    const ConvertOptions& options);

/// Converts and opens the pull request. If two processes work on one repository, one opens it and the other reports
/// it: on one machine by a lock in the cache, on two machines by checking again right before the commit. If the branch
/// moves meanwhile, starts again from its new head, at most 3 times, then throws Error{network}. Throws Error as the
/// Hub client does, {denied} without a token.
RepoReport open_pull_request(const hub::Client& client, const hub::RepoId& repo, const ConvertOptions& options);

}  // namespace depickle::repo
