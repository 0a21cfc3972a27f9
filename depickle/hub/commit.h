// From the disk to the Hub: large files to its store, then everything in one commit, on a branch or as a pull request.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "depickle/base/progress.h"
#include "depickle/hub/client.h"

namespace depickle::hub {

/// A file to add or replace: one on this disk, or a short text that is only in memory.
struct Addition {
  std::string path;  ///< in the repository
  std::variant<std::filesystem::path, std::string> content;
  std::string sha256 = {};  ///< of the content where the caller knows it, so that it need not be read twice
};

struct Deletion {
  std::string path;
};

struct CommitRequest {
  std::string title;
  std::string description;
  std::vector<Addition> additions;
  std::vector<Deletion> deletions;
  std::string parent_commit;  ///< what the commit is meant to stand on; empty: whatever the branch holds
  /// Opens a pull request instead of changing the branch. It stands on `parent_commit`, or on the branch's head.
  bool create_pull_request = false;
};

struct CommitResult {
  std::string commit;                    ///< its id; for an unchanged repository, the id of what is there
  std::optional<uint64_t> pull_request;  ///< its number
  std::string url;                       ///< of the pull request's page, or of the commit's
  bool is_unchanged = false;             ///< every file was there already: nothing was committed
};

/// Asks which files are large, sends those that the Hub does not hold (LFS, in one piece or in parts; a broken part is sent
/// again alone, what a former call has sent is not sent again), then makes one commit of everything. Files are
/// streamed: memory does not grow with them. Progress: phases "hash" and "upload", by path in the repository.
///
/// Throws Failure: is_conflict() where the branch has moved away from `parent_commit`. The commit itself is sent once: a lost
/// answer is Error{network} whose hint says that the commit may have landed. Error{integrity} where a file changes meanwhile.
CommitResult commit(const Client& client, const RepoId& repo, std::string_view revision, const CommitRequest& request,
    const Progress& progress = {});

}  // namespace depickle::hub
