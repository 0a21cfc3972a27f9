// One repository: revisions, files, history, refs. commit.h changes files; discussions.h has the pull requests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/hub/git/history.h"
#include "server/hub/git/refs.h"
#include "server/hub/git/tree.h"
#include "server/hub/repos/repos.h"

namespace depickle::server::repos {

/// The bytes of one file: in memory (a git blob, at most some megabytes) or in a file of the store that never changes.
struct FileContent {
  uint64_t size_bytes = 0;
  std::string bytes;                          ///< of a git blob
  std::optional<std::filesystem::path> file;  ///< of an LFS object: read this instead of `bytes`
};

/// A handle, cheap to make (a fraction of a millisecond). Used by one thread at a time; the Store must outlive it.
class Repo {
 public:
  Repo(StoreParts& parts, RepoInfo info);
  ~Repo();
  Repo(Repo&&) noexcept;

  const RepoInfo& info() const noexcept { return info_; }
  /// A bare git repository, which `git upload-pack` and `git clone` can use.
  std::filesystem::path git_folder() const;

  /// Branch, tag, refs/…, commit or 5 and more digits of one → the commit's 40 digits.
  std::optional<std::string> find_commit(std::string_view revision) const;
  /// Throws StoreError{no_revision}: `Invalid rev id: X`.
  std::string commit_at(std::string_view revision) const;

  // Below, `commit` is the 40 digits that find_commit() returned.

  std::optional<git::Entry> find_entry(const std::string& commit, std::string_view path) const;
  /// Throws StoreError{no_entry}.
  git::Entry entry_at(const std::string& commit, std::string_view path) const;
  /// Returns folders and files in git's order. A cursor is only valid for the same commit, so the address of the next
  /// page must contain the commit, not the branch. Throws StoreError{no_entry} if `path` is not a folder; {malformed}
  /// if the cursor is not valid.
  git::TreePage list(const std::string& commit, const git::TreeQuery& query) const;
  /// Returns every file of the commit. Throws StoreError{too_large} beyond StoreLimits::repository_files.
  std::vector<git::Entry> files(const std::string& commit) const;
  /// Returns, for each of `paths`, the newest commit that changed it. Reads the history back to the oldest of these
  /// commits.
  std::vector<git::Commit> last_commits(const std::string& commit, std::span<const std::string> paths) const;

  /// Returns the file as a reader sees it: the blob, or the LFS object of a pointer. `reader` (null: anonymous) only
  /// matters for a pointer that no commit of this store wrote, see content::Lfs::readable. Throws StoreError{no_entry}
  /// if the object was not uploaded.
  FileContent content(const git::Entry& file, const Caller* reader = nullptr) const;
  /// Returns the git blob: of an LFS file, its pointer.
  std::string blob(const git::Entry& file) const;

  git::Commit commit(const std::string& commit) const;
  git::CommitPage log(const std::string& commit, uint64_t offset, uint64_t limit) const;
  /// Without the refs of pull requests that are not open yet.
  git::Refs refs() const;
  /// Returns the bytes of the distinct LFS objects that its commits use.
  uint64_t used_bytes() const;

  /// `from` is a revision; empty: main. Throws StoreError{exists, no_revision, malformed}.
  void create_branch(std::string_view name, std::string_view from = {});
  /// Throws StoreError{no_revision}; {denied} for main.
  void delete_branch(std::string_view name);
  /// Creates an annotated tag if `message` is not empty.
  void create_tag(std::string_view name, std::string_view revision, std::string_view message, std::string_view by);
  void delete_tag(std::string_view name);

  /// Returns what `git diff` prints between two commits, cut at StoreLimits::diff_bytes. LFS files appear as pointers.
  std::string diff(const std::string& from_commit, const std::string& to_commit) const;

 private:
  friend class Committer;
  friend class Discussions;
  StoreParts& parts_;
  RepoInfo info_;
  std::unique_ptr<git::Repository> git_;
};

}  // namespace depickle::server::repos
