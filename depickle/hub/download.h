// From the Hub to the cache: whole files, checked by hash, resumed where they were left.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/progress.h"
#include "depickle/hub/cache.h"
#include "depickle/hub/client.h"

namespace depickle::hub {

/// What the Hub says of one file, before any byte of it.
struct FileMetadata {
  std::string commit;
  RepoFile file;
};

/// One request. Throws Failure (is_missing_file() and so on); then the cache remembers a missing file.
FileMetadata file_metadata(const Client& client, const RepoId& repo, std::string_view revision, std::string_view path);

struct Snapshot {
  std::filesystem::path folder;  ///< snapshots/COMMIT of the cache
  std::string commit;
  uint64_t downloaded_bytes = 0;  ///< of this call; 0 where the cache had everything
};

/// Brings `files` (as Client::files() or the cache lists them at `commit`) into the cache and links them into the snapshot
/// of `commit`. Several files at once, and several ranges at once of a file of 64 MiB and more. Each byte is hashed: a file
/// whose SHA-256 (or git SHA-1) is not the promised one is fetched once more, then refused: Error{integrity}. Broken
/// connections are resumed where they broke, by a later process too. `revision`, where given, is remembered as a name of
/// `commit`. Progress: phase "download", one file at a time, by path in the repository.
///
/// Throws Error{io} with the sizes where the disk has no room, before anything is fetched. Offline: Error{network} for the
/// first file that the cache does not have.
Snapshot download_files(const Client& client, const RepoId& repo, std::string_view commit,
    const std::vector<RepoFile>& files, const Progress& progress = {}, std::string_view revision = {});

/// The file at `revision`, from the cache where it is there and the Hub does not say that it has changed (for a commit id: with
/// no request at all). When the Hub cannot be reached, the one that `revision` stood for when it was last asked.
std::filesystem::path download_file(const Client& client, const RepoId& repo, std::string_view revision,
    std::string_view path, const Progress& progress = {});

/// The commit of `revision`: asked of the Hub, or, offline or when the Hub cannot be reached, of the cache. A commit id costs nothing.
std::string resolve_commit(const Client& client, const RepoId& repo, std::string_view revision);

/// All files of `commit`: from the cache where it knows the whole list, else from the Hub (and then the cache knows it).
std::vector<RepoFile> list_commit(const Client& client, const RepoId& repo, std::string_view commit);

}  // namespace depickle::hub
