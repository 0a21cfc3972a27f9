// The folder of downloaded files, shared with huggingface_hub: each program finds the files that the other has
// downloaded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/client.h"

namespace depickle::hub {

/// models--org--name/
///   blobs/ETAG                  content, named by its hash
///   snapshots/COMMIT/PATH       a relative link to a blob
///   refs/REVISION               the commit of a revision at the last request
///   .no_exist/COMMIT/PATH       the Hub has answered that this file does not exist
///   trees/COMMIT.json           all files of a commit
/// .locks/models--org--name/ETAG.lock
///
/// Reading never waits and never locks: a blob gets its name when it is complete, and a link is created after its blob.
/// Safe to use from several threads and processes. `path` must be checked by check_repo_path(), `revision` by
/// check_revision(). Writing throws Error{io}.
class Cache {
 public:
  explicit Cache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& folder() const noexcept { return folder_; }
  std::filesystem::path repo_folder(const RepoId& repo) const { return folder_ / repo.folder_name(); }
  std::filesystem::path snapshot_folder(const RepoId& repo, std::string_view commit) const;

  /// Returns the commit of `revision` at the last request; `revision` itself if it is a commit id.
  std::optional<std::string> find_commit(const RepoId& repo, std::string_view revision) const;
  /// Returns the path of the file in its snapshot, if file and blob exist.
  std::optional<std::filesystem::path> find(const RepoId& repo, std::string_view revision, std::string_view path) const;
  /// Returns whether the Hub has answered that the file does not exist at this commit.
  bool is_known_absent(const RepoId& repo, std::string_view commit, std::string_view path) const;
  /// Returns all files of the commit, if the cache has the list.
  std::optional<std::vector<RepoFile>> find_files(const RepoId& repo, std::string_view commit) const;
  /// Returns the path of the blob, if it exists and has the right size. Follows links into the store that repositories
  /// share.
  std::optional<std::filesystem::path> find_blob(const RepoId& repo, const RepoFile& file) const;

  /// Records the commit of `revision`. Creates the folder of the snapshot first: huggingface_hub reports a ref without
  /// one as corrupt.
  void write_ref(const RepoId& repo, std::string_view revision, std::string_view commit) const;
  void write_known_absent(const RepoId& repo, std::string_view commit, std::string_view path) const;
  /// `files` must be all files of the commit.
  void write_files(const RepoId& repo, std::string_view commit, const std::vector<RepoFile>& files) const;
  /// Links snapshots/COMMIT/PATH to the blob `etag`, which must exist. Returns the path of the link.
  std::filesystem::path link(
      const RepoId& repo, std::string_view commit, std::string_view path, std::string_view etag) const;

  std::filesystem::path blob_path(const RepoId& repo, std::string_view etag) const;
  std::filesystem::path lock_path(const RepoId& repo, std::string_view etag) const;
  /// Creates the folders of a repository, and CACHEDIR.TAG, which tells backup programs to skip the cache.
  void prepare(const RepoId& repo) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace depickle::hub
