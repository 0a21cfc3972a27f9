// Commits files to a branch or as a pull request: uploads large files to the store of the Hub first.
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

/// A file to add or replace. The content is a local file, or a short text in memory.
struct Addition {
  std::string path;  ///< in the repository
  std::variant<std::filesystem::path, std::string> content;
  std::string sha256 = {};  ///< of the content, if the caller knows it: saves reading the file twice
};

struct Deletion {
  std::string path;
};

struct CommitRequest {
  std::string title;
  std::string description;
  std::vector<Addition> additions;
  std::vector<Deletion> deletions;
  std::string parent_commit;  ///< expected head of the branch; empty: any
  /// Opens a pull request instead of changing the branch. Its base is `parent_commit`, or the head of the branch.
  bool create_pull_request = false;
};

struct CommitResult {
  std::string commit;                    ///< id of the new commit; if nothing changed, of the head
  std::optional<uint64_t> pull_request;  ///< its number
  std::string url;                       ///< of the page of the pull request or of the commit
  bool is_unchanged = false;             ///< all files have the wanted content, so nothing was committed
};

/// Asks the Hub which files are large, uploads those that its store lacks (LFS, in one piece or in parts; a failed part
/// is sent again alone; objects that an earlier call has uploaded are not sent again), then makes one commit. Files are
/// streamed: memory does not grow with their size. Progress: phases "hash" and "upload", by path in the repository.
///
/// Throws Failure, with is_conflict() if the head of the branch is not `parent_commit`. The commit itself is sent once:
/// if its response is lost, throws Error{network} with a hint that the commit may exist. Throws Error{integrity} if a
/// file changes meanwhile.
CommitResult commit(const Client& client, const RepoId& repo, std::string_view revision, const CommitRequest& request,
    const Progress& progress = {});

}  // namespace depickle::hub
