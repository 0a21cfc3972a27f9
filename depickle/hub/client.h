// A Hub, and what can be read there.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/address.h"
#include "depickle/hub/failure.h"
#include "depickle/hub/settings.h"

namespace depickle::hub {

class Http;

struct User {
  std::string name;
  std::vector<std::string> organisations;
  std::string token_role;  ///< "read", "write" or "fineGrained"; empty where the Hub does not say
};

/// A file of a repository at some commit.
struct RepoFile {
  std::string path;  ///< passed check_repo_path()
  uint64_t size_bytes = 0;
  std::string blob_id;  ///< the git blob's SHA-1, 40 hexadecimal digits: for an LFS file, that of its pointer
  std::string sha256;   ///< of the content, for an LFS file; else empty

  /// What the cache calls its blob, and what its bytes must hash to.
  const std::string& etag() const noexcept { return sha256.empty() ? blob_id : sha256; }
};

struct RepoInfo {
  std::string id;      ///< as the Hub spells it: another than was asked for where the repository was renamed
  std::string commit;  ///< that the revision stands for
  std::string author;
  bool is_private = false;
  bool is_gated = false;
  bool is_disabled = false;
  std::string library_name;  ///< "transformers", "diffusers"; often empty
  std::string pipeline_tag;
  std::vector<std::string> tags;
  std::vector<std::string> files;  ///< paths, each of which passed check_repo_path()
};

struct Ref {
  std::string name;       ///< "main", "v1"; "refs/pr/1" for a pull request
  std::string full_name;  ///< "refs/heads/main"
  std::string commit;
};

struct Refs {
  std::vector<Ref> branches, tags, pull_requests;
};

struct Commit {
  std::string id;
  std::string title;
  std::string message;  ///< the rest, after the title
  std::vector<std::string> authors;
  std::string date;  ///< ISO 8601, UTC
};

/// One Hub as one user. Safe to use from several threads; connections are kept and reused. Cheap to copy (shared inside).
///
/// All calls throw Failure for what the Hub refuses, Error{network} for what stays lost after `patience`, Error{denied} is
/// for the user to solve; Error{network} with a hint where `offline` is set; Error{malformed} for an answer that makes no
/// sense; Error{unsafe} for hostile file names. `revision`: a branch, a tag, "refs/pr/N" or a commit id; empty: "main".
class Client {
 public:
  /// Throws Error{malformed} where the endpoint is no http or https address.
  explicit Client(Settings settings);

  const Settings& settings() const noexcept;
  /// For the other parts of this module.
  Http& http() const noexcept;

  User whoami() const;
  /// The repository at `revision`; what the default branch stands for where it is empty.
  RepoInfo info(const RepoId& repo, std::string_view revision = {}) const;
  /// All files at `revision`, below `folder` where one is named; all pages. At most 200,000 entries, else Error{limit}.
  std::vector<RepoFile> files(const RepoId& repo, std::string_view revision, std::string_view folder = {}) const;
  /// Those of `paths` that exist at `revision`.
  std::vector<RepoFile> files_of(
      const RepoId& repo, std::string_view revision, const std::vector<std::string>& paths) const;
  Refs refs(const RepoId& repo, bool with_pull_requests = false) const;
  /// Newest first, at most `most` of them. Of a pull request: its own commits, then the base and its ancestors.
  std::vector<Commit> commits(const RepoId& repo, std::string_view revision, size_t most = 50) const;
  /// What to show people: "ENDPOINT/org/name/discussions/1".
  std::string page(const RepoId& repo, std::string_view below = {}) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace depickle::hub
