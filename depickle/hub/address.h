// What names a repository on a Hub, a revision of it, and a file in it; and how people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::hub {

enum class RepoType { model, dataset, space };

/// "org/name", or "name" for the few old models without a namespace. Letters, digits, `-`, `_` and `.`; at most 96 of them;
/// no `--`, no `..`; neither `-` nor `.` at the ends; not ending in `.git`. One that exists keeps these rules.
class RepoId {
 public:
  /// Throws Error{malformed}.
  static RepoId parse(std::string_view id, RepoType type = RepoType::model);

  /// "org/name".
  const std::string& name() const noexcept { return name_; }
  RepoType type() const noexcept { return type_; }
  /// "models", "datasets" or "spaces": the word in API addresses.
  std::string_view plural() const noexcept;
  /// "/org/name" or "/datasets/org/name": where the pages of the repository are, below the endpoint.
  std::string page_path() const;
  /// "models--org--name": its folder in the cache.
  std::string folder_name() const;

  friend bool operator==(const RepoId&, const RepoId&) = default;

 private:
  RepoId(std::string name, RepoType type) : name_(std::move(name)), type_(type) {}
  std::string name_;
  RepoType type_;
};

/// A place on a Hub. What was not written is empty.
struct Address {
  RepoId repo;
  std::string revision;                ///< decoded: "refs/pr/22"; empty: the default branch
  std::string path;                    ///< decoded, checked by check_repo_path(); of a file or a folder
  std::optional<uint64_t> discussion;  ///< where the address is that of a discussion or pull request

  const std::string& revision_or(const std::string& otherwise) const { return revision.empty() ? otherwise : revision; }
};

/// `hf://[datasets/]org/name[@rev][/path]`, with the revision as huggingface_hub writes it (`refs/pr/N`, `refs/convert/x`, or
/// one segment, percent-encoded), or the address of a page below `endpoint`: of the repository, of /tree/, /blob/, /resolve/,
/// /raw/, /commit/, /commits/ or /discussions/. Empty where `text` is neither: a path on the disk, perhaps.
/// Throws Error{malformed} for one that is broken or lies on another host.
std::optional<Address> find_address(std::string_view text, std::string_view endpoint);

/// The same, and `org/name[@rev]`, where a repository is expected. Throws Error{malformed} where it is none.
Address parse_address(std::string_view text, std::string_view endpoint);

/// "hf://org/name@rev/path": what messages call a file.
std::string hf_address(const RepoId& repo, std::string_view revision, std::string_view path = {});

/// Percent-encoded, `/` too: how a revision stands in an API address.
std::string escape_segment(std::string_view text);
/// Percent-encoded except `/`: how a file's path stands in one.
std::string escape_path(std::string_view path);

/// Refuses what must not become a path on this disk whatever a server says: empty, absolute, over 4096 bytes or 255 in one
/// component, `.` or `..` or empty components, `.git`, `.cache`, backslashes, control characters, drive letters, text that
/// is not UTF-8. Throws Error{unsafe}.
void check_repo_path(std::string_view path);

/// Whether `revision` is a full commit id: 40 hexadecimal digits in lower case.
bool is_commit_id(std::string_view revision) noexcept;
/// Throws Error{malformed} for what no revision can be: empty, over 255 bytes, control characters, `..`, or leading, trailing
/// and double slashes (they become file names in the cache).
void check_revision(std::string_view revision);
/// The number N of "refs/pr/N".
std::optional<uint64_t> pull_request_number(std::string_view revision) noexcept;
/// "refs/pr/22".
std::string pull_request_revision(uint64_t number);

}  // namespace depickle::hub
