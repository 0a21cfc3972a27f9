#include "server/hub/git/names.h"

#include <git2.h>

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::git {
namespace {

constexpr size_t kMaxComponentBytes = 255, kMaxRefNameBytes = 200;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Returns whether some file system opens `component` as .git: any case, dots or spaces after it, a stream name, the
// short name.
bool is_dot_git(std::string_view component) {
  std::string name(component.substr(0, component.find(':')));
  std::transform(name.begin(), name.end(), name.begin(), lower);
  while (!name.empty() && (name.back() == '.' || name.back() == ' ')) name.pop_back();
  return name == ".git" || name == "git~1";
}

void check_component(std::string_view component, std::string_view path, std::string_view what) {
  auto fail = [&](std::string_view reason) {
    throw StoreError(StoreReason::malformed, fmt::format("{} {} {}", what, quoted(path), reason));
  };
  if (component.empty()) fail("is absolute or has an empty component");
  if (component == "." || component == "..") fail("has a component `.` or `..`");
  if (is_dot_git(component)) fail("has a component reserved by git");
  if (component.size() > kMaxComponentBytes) {
    fail(fmt::format("has a component of {} bytes (at most {})", component.size(), kMaxComponentBytes));
  }
}

}  // namespace

std::string checked_path(std::string_view path, uint64_t max_bytes, std::string_view what) {
  auto is_forbidden = [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '\\'; };
  if (path.size() > max_bytes) {
    throw StoreError(StoreReason::malformed,
        fmt::format("{} {} is too long (have {} bytes, at most {})", what, quoted(path, 60), path.size(), max_bytes));
  }
  if (std::any_of(path.begin(), path.end(), is_forbidden) || !is_utf8(path)) {
    throw StoreError(StoreReason::malformed,
        fmt::format("{} {} contains control characters, backslashes or invalid UTF-8", what, quoted(path)));
  }
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    check_component(path.substr(begin, end - begin), path, what);
    begin = end + 1;
  }
  return std::string(path);
}

void check_ref_name(std::string_view name) {
  int valid = 0;
  std::string full = "refs/heads/" + std::string(name);
  bool is_commit_id = name.size() == 40 && name.find_first_not_of("0123456789abcdefABCDEF") == name.npos;
  if (name.empty() || name.size() > kMaxRefNameBytes || name.front() == '-' || name.starts_with("refs/") ||
      name == "HEAD" || is_commit_id || name.find('\0') != name.npos || !is_utf8(name) ||
      git_reference_name_is_valid(&valid, full.c_str()) != 0 || !valid) {
    throw StoreError(StoreReason::malformed, fmt::format("{} is not a valid branch or tag name", quoted(name)));
  }
}

}  // namespace depickle::server::git
