// Identifiers of repositories, revisions and files on a Hub, and their textual forms.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::hub {

enum class RepoType { model, dataset, space };

/// A valid repository id: "org/name", or "name" for the few old models without a namespace. At most 96 letters, digits,
/// `-`, `_` and `.`; without `--` and `..`; no part begins or ends with `-` or `.`; the id does not end in `.git`.
class RepoId {
 public:
  /// Throws Error{malformed}.
  static RepoId parse(std::string_view id, RepoType type = RepoType::model);

  /// "org/name".
  const std::string& name() const noexcept { return name_; }
  RepoType type() const noexcept { return type_; }
  /// Returns "models", "datasets" or "spaces", as in API URLs.
  std::string_view plural() const noexcept;
  /// Returns "/org/name" or "/datasets/org/name": the path of the repository's page below the endpoint.
  std::string page_path() const;
  /// Returns "models--org--name", the name of the repository's folder in the cache.
  std::string folder_name() const;

  friend bool operator==(const RepoId&, const RepoId&) = default;

 private:
  RepoId(std::string name, RepoType type) : name_(std::move(name)), type_(type) {}
  std::string name_;
  RepoType type_;
};

/// A parsed address. Parts that the text does not contain are empty.
struct Address {
  RepoId repo;
  std::string revision;                ///< decoded: "refs/pr/22"; empty: the default branch
  std::string path;                    ///< of a file or folder; decoded, checked by check_repo_path()
  std::optional<uint64_t> discussion;  ///< number, if the address is the URL of a discussion or pull request

  const std::string& revision_or(const std::string& fallback) const { return revision.empty() ? fallback : revision; }
};

/// Parses `hf://[datasets/]org/name[@rev][/path]`, with the revision as huggingface_hub writes it (`refs/pr/N`,
/// `refs/convert/x`, or one percent-encoded segment), or the URL of a page below `endpoint`: of the repository, of
/// /tree/, /blob/, /resolve/, /raw/, /commit/, /commits/ or /discussions/. Returns nothing for other text, which may be
/// a local path. Throws Error{malformed} if the address is invalid or on another host.
std::optional<Address> find_address(std::string_view text, std::string_view endpoint);

/// The same, but also parses `org/name[@rev]`. Throws Error{malformed} for other text.
Address parse_address(std::string_view text, std::string_view endpoint);

/// Returns "hf://org/name@rev/path", the name of a file in messages.
std::string hf_address(const RepoId& repo, std::string_view revision, std::string_view path = {});

/// Percent-encodes everything but letters, digits and `-_.~`: a revision in an API URL.
std::string escape_segment(std::string_view text);
/// The same, but keeps `/`: the path of a file in a URL.
std::string escape_path(std::string_view path);

/// Throws Error{unsafe} if `path` must not become a path on the local disk: empty, absolute, over 4096 bytes or 255 in
/// one component, `.`, `..` or empty components, `.git`, `.cache`, backslashes, control characters, drive letters, or
/// text that is not UTF-8.
void check_repo_path(std::string_view path);

/// Returns whether `revision` is a full commit id: 40 lowercase hexadecimal digits.
bool is_commit_id(std::string_view revision) noexcept;
/// Throws Error{malformed} if `revision` is empty, over 255 bytes, or contains control characters, `..`, or leading,
/// trailing or double slashes. Revisions become file names in the cache.
void check_revision(std::string_view revision);
/// Returns the number N of "refs/pr/N".
std::optional<uint64_t> pull_request_number(std::string_view revision) noexcept;
/// Returns "refs/pr/22".
std::string pull_request_revision(uint64_t number);

}  // namespace depickle::hub
