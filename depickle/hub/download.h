// Downloads whole files into the cache. Checks hashes and resumes interrupted downloads.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/progress.h"
#include "depickle/hub/cache.h"
#include "depickle/hub/client.h"

namespace depickle::hub {

/// What the Hub reports about a file in the head of a response.
struct FileMetadata {
  std::string commit;
  RepoFile file;
};

/// Sends one request. Throws Failure; if is_missing_file(), the cache records that the file does not exist.
FileMetadata file_metadata(const Client& client, const RepoId& repo, std::string_view revision, std::string_view path);

struct Snapshot {
  std::filesystem::path folder;  ///< snapshots/COMMIT of the cache
  std::string commit;
  uint64_t downloaded_bytes = 0;  ///< by this call; 0 if the cache had all files
};

/// Downloads `files` (as Client::files() or the cache lists them at `commit`) into the cache and links them into the
/// snapshot of `commit`. Downloads several files at a time, and several ranges of a file of 64 MiB or more. Each byte
/// is hashed: a file with another SHA-256 (or git SHA-1) than expected is downloaded once more, then refused with
/// Error{integrity}. Lost connections are resumed where they ended, also by a later process. `revision`, if not empty,
/// is recorded as a name of `commit`. Progress: phase "download", one file at a time, by path in the repository.
///
/// Throws Error{io} with the sizes if the disk has too little space, before the download. Offline, throws
/// Error{network} for the first file that the cache lacks.
Snapshot download_files(const Client& client, const RepoId& repo, std::string_view commit,
    const std::vector<RepoFile>& files, const Progress& progress = {}, std::string_view revision = {});

/// Returns the path of the file at `revision` in the cache, and downloads it if the cache lacks it or the Hub has a
/// newer one. Sends no request for a commit id that the cache has. If the Hub is unreachable, uses the commit of
/// `revision` at the last request.
std::filesystem::path download_file(const Client& client, const RepoId& repo, std::string_view revision,
    std::string_view path, const Progress& progress = {});

/// Returns the commit of `revision`: from the Hub, or from the cache if offline or the Hub is unreachable. Sends no
/// request for a commit id.
std::string resolve_commit(const Client& client, const RepoId& repo, std::string_view revision);

/// Returns all files of `commit`: from the cache, else from the Hub, and then stores the list in the cache.
std::vector<RepoFile> list_commit(const Client& client, const RepoId& repo, std::string_view commit);

}  // namespace depickle::hub
