// The folder of downloaded files, shared with huggingface_hub: either finds what the other has fetched.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/client.h"

namespace depickle::hub {

/// models--org--name/
///   blobs/ETAG                  the bytes, named by their hash
///   snapshots/COMMIT/PATH       a relative link to a blob
///   refs/REVISION               the commit that a revision stood for when it was last asked
///   .no_exist/COMMIT/PATH       the Hub said that this file does not exist
///   trees/COMMIT.json           all files of a commit
/// .locks/models--org--name/ETAG.lock
///
/// Looking never waits and never locks: a blob gets its name when it is whole, a link is made after its blob. All members
/// may be called from several threads and processes. `path` must have passed check_repo_path(), `revision` check_revision().
class Cache {
 public:
  explicit Cache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& folder() const noexcept { return folder_; }
  std::filesystem::path repo_folder(const RepoId& repo) const { return folder_ / repo.folder_name(); }
  std::filesystem::path snapshot_folder(const RepoId& repo, std::string_view commit) const;

  /// The commit that `revision` stood for when it was last asked; `revision` itself where it is a commit id.
  std::optional<std::string> find_commit(const RepoId& repo, std::string_view revision) const;
  /// The file as a snapshot has it; empty where it is not there (or its blob is gone).
  std::optional<std::filesystem::path> find(const RepoId& repo, std::string_view revision, std::string_view path) const;
  /// Whether the Hub has said that the file does not exist at this commit.
  bool is_known_absent(const RepoId& repo, std::string_view commit, std::string_view path) const;
  /// All files of the commit, where the cache knows the whole list.
  std::optional<std::vector<RepoFile>> find_files(const RepoId& repo, std::string_view commit) const;
  /// The blob's place, where it is there with the size that it should have; links into the store that all repositories
  /// share are followed.
  std::optional<std::filesystem::path> find_blob(const RepoId& repo, const RepoFile& file) const;

  /// Remembers what `revision` stands for; makes the snapshot's folder first, without which a ref is called corrupt.
  void write_ref(const RepoId& repo, std::string_view revision, std::string_view commit) const;
  void write_known_absent(const RepoId& repo, std::string_view commit, std::string_view path) const;
  /// `files` must be all files of the commit.
  void write_files(const RepoId& repo, std::string_view commit, const std::vector<RepoFile>& files) const;
  /// Makes snapshots/COMMIT/PATH lead to the blob `etag`, which must be there. Returns its place.
  std::filesystem::path link(
      const RepoId& repo, std::string_view commit, std::string_view path, std::string_view etag) const;

  std::filesystem::path blob_path(const RepoId& repo, std::string_view etag) const;
  std::filesystem::path lock_path(const RepoId& repo, std::string_view etag) const;
  /// Makes the folders of a repository, and the mark that tells backup programs to leave the cache alone.
  void prepare(const RepoId& repo) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace depickle::hub
