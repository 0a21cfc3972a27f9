// The files and folders of a commit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/hub/git/pointer.h"

namespace depickle::server::git {

class Repository;

/// A file or a folder of one commit.
struct Entry {
  bool is_folder = false;
  std::string path;         ///< from the root of the repository
  std::string oid;          ///< git's SHA-1 of the blob (of the pointer, for an LFS file) or tree
  uint64_t size_bytes = 0;  ///< size of the content, for an LFS file too; 0 for a folder
  std::optional<LfsPointer> lfs;
  uint64_t pointer_bytes = 0;  ///< size of the pointer's blob, for an LFS file

  bool is_file() const noexcept { return !is_folder; }
  /// The ETag of the content: the SHA-256 of an LFS file, git's SHA-1 of any other.
  const std::string& etag() const noexcept { return lfs ? lfs->oid : oid; }
};

struct TreeQuery {
  std::string path;  ///< a folder; empty: the root
  bool recursive = false;
  uint64_t limit = 1000;
  std::string cursor;  ///< `next` of the previous page; empty: the first page
};

struct TreePage {
  std::vector<Entry> entries;
  std::string next;  ///< cursor of the next page; empty: this is the last page
};

/// `commit` is 40 hexadecimal digits.
std::optional<Entry> find_entry(const Repository& git, const std::string& commit, std::string_view path);
/// Returns files and folders in git's order. Throws StoreError{no_entry} if `path` is not a folder; {malformed} if
/// the cursor is not a path of this tree; {too_large} if folders are nested too deeply.
TreePage list_tree(const Repository& git, const std::string& commit, const TreeQuery& query);

/// "`path` does not exist".
[[noreturn]] void throw_no_entry(std::string_view path);

}  // namespace depickle::server::git
