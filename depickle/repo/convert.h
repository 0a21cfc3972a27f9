// A repository made safetensors: planned at one commit, converted, proved, and opened as one pull request.
//
//   resolve → list → plan → earlier pull requests? → download → convert and compare → earlier ones again? branch moved?
// → upload, commit
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

struct ConvertOptions {
  std::string revision = {};  ///< a branch, a tag or a commit; empty: the default branch. A pull request needs a branch
  convert::Options convert =
      {};                    ///< of each file; `receipt`, where given, gets a copy of the receipt. Its engine scans too
  std::string version = {};  ///< of the program, for the description
  Progress progress = {};
};

/// What came of it.
enum class Outcome {
  nothing_to_do,  ///< no pickle that needs conversion
  already_open,   ///< an open pull request does the work
  planned,        ///< --dry-run
  failed,         ///< a file could not be converted (report.failed): nothing was written or opened
  written,        ///< to a folder of this disk
  opened,         ///< a pull request
};
/// "nothing-to-do", "already-open", "planned", "failed", "written", "opened".
std::string_view name(Outcome outcome) noexcept;

/// What loading a pickle of the repository would do.
struct ScannedFile {
  std::string path;
  scan::Scan scan;
};

struct RepoReport {
  Outcome outcome = Outcome::nothing_to_do;
  std::string repo;
  std::string commit;  ///< that was converted
  Plan plan;
  convert::Report report;             ///< of the conversion, with paths from the repository's root
  std::vector<ScannedFile> scans;     ///< of the files that are, or would be, converted
  std::vector<PullRequest> previous;  ///< that matter: outcome already_open has one
  std::optional<uint64_t> pull_request;
  std::string url;
  std::string title, description;    ///< of the pull request
  std::vector<uint64_t> superseded;  ///< pull requests that were closed
  uint64_t downloaded_bytes = 0;
  std::vector<std::string> notes;
};

/// The plan, and the pull request's text as far as it is known before the conversion. Reads names and indexes only.
RepoReport plan_repo(
    const hub::Client& client, const hub::RepoId& repo, const ConvertOptions& options, bool pull_request);

/// Downloads what the plan needs and writes the safetensors below `target`. Throws Error as the Hub and
/// convert_folder() do.
RepoReport convert_repo(const hub::Client& client, const hub::RepoId& repo, const std::filesystem::path& target,
    const ConvertOptions& options);

/// Opens the pull request. Of two processes at work on one repository, one opens it and the other reports it (same
/// machine: by
/// a lock in the cache; other machines: by looking again right before the commit). Where the branch moves meanwhile,
/// everything is planned again
/// from its new head, at most 3 times; then Error{network}. Throws Error as the Hub does, {denied} where no token was
/// given.
RepoReport open_pull_request(const hub::Client& client, const hub::RepoId& repo, const ConvertOptions& options);

}  // namespace depickle::repo
