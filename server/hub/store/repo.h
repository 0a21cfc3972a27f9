// One repository: revisions, files, history, refs. (Changing files: commit.h; pull requests: discussions.h.)
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/time.h"
#include "server/hub/store/repos.h"

namespace depickle::server {

class Git;

struct LfsPointer {
  std::string oid;  ///< SHA-256, 64 lower-case hexadecimal digits
  uint64_t size_bytes = 0;
};

/// A file or a folder of one commit.
struct Entry {
  enum class Kind { file, folder };
  Kind kind = Kind::file;
  std::string path;         ///< from the root of the repository
  std::string oid;          ///< git's SHA-1 of the blob (of an LFS file: of its pointer) or tree
  uint64_t size_bytes = 0;  ///< of an LFS file: the real size; 0 for a folder
  std::optional<LfsPointer> lfs;
  uint64_t pointer_bytes = 0;  ///< of the pointer's blob, for an LFS file

  bool is_file() const noexcept { return kind == Kind::file; }
  /// What a client's cache calls the content: the SHA-256 of an LFS file, git's SHA-1 of any other.
  const std::string& etag() const noexcept { return lfs ? lfs->oid : oid; }
};

struct TreeQuery {
  std::string path;  ///< a folder; empty: the root
  bool recursive = false;
  uint64_t limit = 1000;
  std::string cursor;  ///< where the page before ended: its `next`
};

struct TreePage {
  std::vector<Entry> entries;
  std::string next;  ///< cursor of the next page; empty: this is the last
};

struct Commit {
  std::string id;       ///< 40 hexadecimal digits
  std::string title;    ///< the first line
  std::string message;  ///< the rest
  std::string author;   ///< a user's name
  Moment date = 0;
  std::vector<std::string> parents;
};

struct CommitPage {
  std::vector<Commit> commits;  ///< newest first; of a pull request: its own commits, the base, the base's ancestors
  uint64_t total = 0;
};

struct Ref {
  std::string name;    ///< "main", "v1", "pr/1"
  std::string full;    ///< "refs/heads/main"
  std::string commit;  ///< 40 hexadecimal digits; of an annotated tag: what it points to
};

struct Refs {
  std::vector<Ref> branches, tags, converts, pull_requests;
};

/// The bytes of one file: in memory (a git blob, at most some megabytes) or in a file of the store that never changes.
struct FileContent {
  uint64_t size_bytes = 0;
  std::string bytes;                          ///< of a git blob
  std::optional<std::filesystem::path> file;  ///< of an LFS object: read it instead
};

/// A handle, cheap to make (a fraction of a millisecond): for one thread at a time, and no longer than the Store.
class Repo {
 public:
  Repo(StoreParts& parts, RepoInfo info);
  ~Repo();
  Repo(Repo&&) noexcept;

  const RepoInfo& info() const noexcept { return info_; }
  /// A bare git repository: `git upload-pack` and `git clone` work on it.
  std::filesystem::path git_folder() const;

  /// Branch, tag, refs/…, commit or 5 and more digits of one → the commit's 40 digits.
  std::optional<std::string> find_commit(std::string_view revision) const;
  /// Throws StoreError{no_revision}: `Invalid rev id: X`.
  std::string commit_at(std::string_view revision) const;

  // In what follows, `commit` is the 40 digits that find_commit gave.

  std::optional<Entry> find_entry(const std::string& commit, std::string_view path) const;
  /// Throws StoreError{no_entry}.
  Entry entry_at(const std::string& commit, std::string_view path) const;
  /// Folders and files, in git's order, without what does not exist. Put the commit into the address of the next page, not the
  /// branch: a cursor is worth nothing in another commit. Throws StoreError{no_entry} where `path` is no folder, {malformed} for a
  /// cursor that is not from here.
  TreePage list(const std::string& commit, const TreeQuery& query) const;
  /// Every file of the commit. Throws StoreError{too_large} beyond Limits::repository_files.
  std::vector<Entry> files(const std::string& commit) const;
  /// The newest commit that changed each of `paths`. Cost: the history back to the oldest of them.
  std::vector<Commit> last_commits(const std::string& commit, std::span<const std::string> paths) const;

  /// What the file is for a reader: the blob, or the LFS object behind the pointer. `reader` (null: nobody) only matters for a
  /// pointer that came by `git push`: see Lfs::readable. Throws StoreError{no_entry} where the object is not here.
  FileContent content(const Entry& file, const Caller* reader = nullptr) const;
  /// The git blob itself: of an LFS file, its pointer.
  std::string blob(const Entry& file) const;

  Commit commit(const std::string& commit) const;
  CommitPage log(const std::string& commit, uint64_t offset, uint64_t limit) const;
  Refs refs() const;
  /// Bytes of the distinct LFS objects that its commits use.
  uint64_t used_bytes() const;

  /// `from`: a revision; main where empty. Throws StoreError{exists, no_revision, malformed}.
  void create_branch(std::string_view name, std::string_view from = {});
  /// Throws StoreError{no_revision}, {denied} for main.
  void delete_branch(std::string_view name);
  /// Annotated where `message` is not empty.
  void create_tag(std::string_view name, std::string_view revision, std::string_view message, std::string_view by);
  void delete_tag(std::string_view name);

  /// What `git diff` prints between two commits, cut at Limits::diff_bytes; LFS files by their pointers.
  std::string diff(const std::string& from_commit, const std::string& to_commit) const;

 private:
  friend class Committer;
  friend class Discussions;
  StoreParts& parts_;
  RepoInfo info_;
  std::unique_ptr<Git> git_;
};

}  // namespace depickle::server
