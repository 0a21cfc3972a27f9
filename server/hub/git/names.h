// Which names a file, a branch or a tag of a repository may have.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace depickle::server::git {

/// Returns `path`. Throws StoreError{malformed} if it cannot be a file name in a repository: it is absolute; a
/// component is empty, `.`, `..` or `.git` (in any case and in any spelling that a file system opens as `.git`, such
/// as `.git ` or `git~1`); it contains control characters, backslashes or invalid UTF-8; it is longer than
/// `max_bytes`. The error text starts with `what`.
std::string checked_path(std::string_view path, uint64_t max_bytes, std::string_view what = "file name");

/// Throws StoreError{malformed} if git does not accept `name` as the name of a branch or tag.
void check_ref_name(std::string_view name);

}  // namespace depickle::server::git
