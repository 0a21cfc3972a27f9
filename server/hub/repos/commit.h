// Commits: the operations that a client sends, and the preupload that precedes them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/hub/content/spool.h"
#include "server/hub/repos/repo.h"

namespace depickle::server::repos {

/// A file that came in the request. It becomes an LFS object if .gitattributes says so or if it is large.
struct AddFile {
  std::string path;
  content::Spool content;
};

/// A file whose bytes are an LFS object that the author has uploaded, or that the repository already contains.
struct AddLfsFile {
  std::string path;
  std::string oid;
  std::optional<uint64_t> size_bytes;  ///< missing if a client copies within the Hub
};

struct DeleteFile {
  std::string path;
};

struct DeleteFolder {
  std::string path;  ///< with or without a trailing slash
};

struct CopyFile {
  std::string path;
  std::string from_path;
  std::string from_revision;  ///< empty: the parent commit
};

using Operation = std::variant<AddFile, AddLfsFile, DeleteFile, DeleteFolder, CopyFile>;

struct CommitRequest {
  std::string title;
  std::string message;
  std::string parent;  ///< 5 to 40 digits of the commit that the client expects to be the head; empty: any head
  std::vector<Operation> operations;
  /// Called now and then, if set. Throws if the client does not wait for the commit any more.
  std::function<void()> check_client = {};
};

struct CommitResult {
  std::string commit;
  std::optional<uint64_t> pull_request;  ///< its number
};

struct PreuploadFile {
  std::string path;
  std::string sample;  ///< the first bytes, decoded
  uint64_t size_bytes = 0;
};

struct PreuploadQuery {
  std::string commit;  ///< 40 digits: the current head
  std::vector<PreuploadFile> files;
  std::optional<std::string> git_ignore;      ///< replaces the repository's
  std::optional<std::string> git_attributes;  ///< replaces the repository's
  uint64_t inline_up_to_bytes = 0;  ///< files up to this size belong in the commit, whatever the LFS patterns say
};

struct PreuploadResult {
  std::string path;
  bool is_lfs = false;
  bool is_ignored = false;
  /// Of the existing file, in the form that the client compares: SHA-256, or git's SHA-1 of the full content.
  std::optional<std::string> oid;
};

/// Writes commits. Used by one thread at a time. Writers of the same repository wait for each other.
class Committer {
 public:
  explicit Committer(Repo& repo) : repo_(repo) {}

  /// Commits to a branch or to refs/pr/N. The commit is atomic and synced to the disk when this returns. The caller
  /// has checked the author's rights. Operations apply in order. An LFS file that no line of .gitattributes matches
  /// gets its own line, as on the Hub; otherwise `git clone` would check out the pointer.
  ///
  /// Throws StoreError: no_revision; head_moved; no_entry ("A file with this name doesn't exist"); malformed (a path,
  /// an LFS object that is unknown or has another size, a file where a folder is); too_large; conflict if the pull
  /// request is merged; busy if another writer of the repository takes long. Throws what `check_client` throws.
  CommitResult commit(std::string_view revision, CommitRequest request, const Caller& author);
  /// Commits to a new ref refs/pr/N on top of `revision`'s head (or of `request.parent`), and opens a pull request
  /// with the commit's title and, as its first comment, the commit's message.
  CommitResult commit_as_pull_request(std::string_view revision, CommitRequest request, const Caller& author);

  std::vector<PreuploadResult> preupload(const PreuploadQuery& query) const;

 private:
  std::optional<std::string> comparable_oid(const std::string& commit, const std::string& path, bool is_lfs) const;

  Repo& repo_;
};

}  // namespace depickle::server::repos
