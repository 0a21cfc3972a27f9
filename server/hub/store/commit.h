// Changing files: what a commit is made of, and what the store says before one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/hub/store/repo.h"
#include "server/hub/store/spool.h"

namespace depickle::server {

/// A file that came in the request. It becomes an LFS object where .gitattributes says so or where it is large.
struct AddFile {
  std::string path;
  Spool content;
};

/// A file whose bytes are an LFS object that the author uploaded before, or that this repository has already.
struct AddLfsFile {
  std::string path;
  std::string oid;
  std::optional<uint64_t> size_bytes;  ///< missing when a client copies within the Hub
};

struct DeleteFile {
  std::string path;
};

struct DeleteFolder {
  std::string path;  ///< with or without the slash at the end
};

struct CopyFile {
  std::string path;
  std::string from_path;
  std::string from_revision;  ///< empty: the commit that is built upon
};

using Operation = std::variant<AddFile, AddLfsFile, DeleteFile, DeleteFolder, CopyFile>;

struct CommitRequest {
  std::string title;
  std::string message;
  std::string parent;  ///< 5 to 40 digits of the commit that the client believes to be the head; empty: whatever it is
  std::vector<Operation> operations;
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
  std::string commit;  ///< 40 digits: what is there now
  std::vector<PreuploadFile> files;
  std::optional<std::string> git_ignore;      ///< instead of the repository's
  std::optional<std::string> git_attributes;  ///< instead of the repository's
  uint64_t inline_up_to_bytes = 0;            ///< files up to this size are asked for in the commit, whatever they are
};

struct PreuploadAnswer {
  std::string path;
  bool lfs = false;
  bool ignored = false;
  std::optional<std::string>
      oid;  ///< of what is there now, as the client will compare it: SHA-256, or git's SHA-1 of the full content
};

/// Writes commits. For one thread at a time; writers of one repository, in this process, wait for each other.
class Committer {
 public:
  explicit Committer(Repo& repo) : repo_(repo) {}

  /// A commit on a branch or on refs/pr/N. All of it is on the disk when this returns; before, nothing of it is to be seen. The author's
  /// right to write there has been checked by the caller. An LFS file that no line of .gitattributes covers adds its own line there,
  /// as on the Hub: else `git clone` would give a pointer. Operations apply in order.
  ///
  /// Throws StoreError: no_revision; head_moved; no_entry ("A file with this name doesn't exist"); malformed (a path, an LFS object
  /// that is unknown or of another size, a file where a folder is); too_large; conflict where the pull request is merged.
  CommitResult commit(std::string_view revision, CommitRequest request, const Caller& author);
  /// The same on a new ref refs/pr/N on top of `revision`'s head (or of `request.parent`), and an open pull request with the commit's
  /// title and, as its first comment, the commit's message.
  CommitResult commit_as_pull_request(std::string_view revision, CommitRequest request, const Caller& author);

  std::vector<PreuploadAnswer> preupload(const PreuploadQuery& query) const;

 private:
  Repo& repo_;
};

}  // namespace depickle::server
