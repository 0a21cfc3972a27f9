// Reads repositories of a Hub: files, references, commits.
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
  std::vector<std::string> organizations;
  std::string token_role;  ///< "read", "write" or "fineGrained"; empty if the Hub does not report it
};

/// A file of a repository at a commit.
struct RepoFile {
  std::string path;  ///< checked by check_repo_path()
  uint64_t size_bytes = 0;
  std::string blob_id;  ///< SHA-1 of the git blob, 40 hexadecimal digits; of an LFS file, that of its pointer
  std::string sha256;   ///< of the content of an LFS file; empty for other files

  /// Returns the expected hash of the content, which is also the name of the blob in the cache.
  const std::string& etag() const noexcept { return sha256.empty() ? blob_id : sha256; }
};

struct RepoInfo {
  std::string id;      ///< as the Hub returns it: differs from the requested id if the repository was renamed
  std::string commit;  ///< of the revision
  std::string author;
  bool is_private = false;
  bool is_gated = false;
  bool is_disabled = false;
  std::string library_name;  ///< "transformers", "diffusers"; often empty
  std::string pipeline_tag;
  std::vector<std::string> tags;
  std::vector<std::string> files;  ///< paths, checked by check_repo_path()
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
  std::string message;  ///< without the title
  std::vector<std::string> authors;
  std::string date;  ///< ISO 8601, UTC
};

/// A connection to one Hub as one user. Cheap to copy: copies share their state. Safe to use from several threads.
///
/// All calls throw Failure if the Hub refuses; Error{network} if the Hub is unreachable after the retries or `offline`
/// is set; Error{malformed} if a response is invalid; Error{unsafe} if it contains hostile file names. `revision` is a
/// branch, a tag, "refs/pr/N" or a commit id; empty: "main".
class Client {
 public:
  /// Throws Error{malformed} if the endpoint is not an http or https URL.
  explicit Client(Settings settings);

  const Settings& settings() const noexcept;
  /// For the other files of this module.
  Http& http() const noexcept;

  User whoami() const;
  /// Returns the repository at `revision`; empty: the default branch.
  RepoInfo info(const RepoId& repo, std::string_view revision = {}) const;
  /// Returns all files at `revision`, or those in `folder`. Throws Error{limit} if there are more than 200,000 files
  /// and folders.
  std::vector<RepoFile> files(const RepoId& repo, std::string_view revision, std::string_view folder = {}) const;
  /// Returns the files of `paths` that exist at `revision`.
  std::vector<RepoFile> files_of(
      const RepoId& repo, std::string_view revision, const std::vector<std::string>& paths) const;
  Refs refs(const RepoId& repo, bool with_pull_requests = false) const;
  /// Returns at most `max_commits`, newest first. Of a pull request: its own commits, then the base and its ancestors.
  std::vector<Commit> commits(const RepoId& repo, std::string_view revision, size_t max_commits = 50) const;
  /// Returns the URL of a page: "ENDPOINT/org/name/discussions/1".
  std::string page(const RepoId& repo, std::string_view below = {}) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace depickle::hub
