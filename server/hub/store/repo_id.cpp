#include "server/hub/store/repo_id.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/store/store_error.h"

namespace depickle::server {
namespace {

constexpr std::string_view kSingular[] = {"model", "dataset", "space"};
constexpr std::string_view kPlural[] = {"models", "datasets", "spaces"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool is_name_character(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

// What some file system would open as .git: any case, with dots or spaces after it, as a stream, or by its short name.
bool is_dot_git(std::string_view component) {
  std::string name(component.substr(0, component.find(':')));
  std::transform(name.begin(), name.end(), name.begin(), lower);
  while (!name.empty() && (name.back() == '.' || name.back() == ' ')) name.pop_back();
  return name == ".git" || name == "git~1";
}

void check_component(std::string_view component, std::string_view path, std::string_view what) {
  auto refuse = [&](std::string_view why) {
    throw StoreError(StoreReason::malformed, fmt::format("{} {} {}", what, quoted(path), why));
  };
  if (component.empty()) refuse("is absolute, or has an empty part");
  if (component == "." || component == "..") refuse("has a part `.` or `..`");
  if (is_dot_git(component)) refuse("has a part that git keeps for itself");
  if (component.size() > 255) refuse("has a part of more than 255 bytes");
}

}  // namespace

std::string_view singular(RepoType type) noexcept { return kSingular[static_cast<int>(type)]; }
std::string_view plural(RepoType type) noexcept { return kPlural[static_cast<int>(type)]; }

std::optional<RepoType> repo_type(std::string_view word) noexcept {
  for (int i = 0; i < 3; ++i) {
    if (word == kSingular[i] || word == kPlural[i]) return static_cast<RepoType>(i);
  }
  return std::nullopt;
}

bool is_name(std::string_view name) noexcept {
  auto at_end = [](char c) { return c == '-' || c == '.'; };
  return !name.empty() && name.size() <= 96 && std::all_of(name.begin(), name.end(), is_name_character) &&
         !at_end(name.front()) && !at_end(name.back()) && name.find("--") == name.npos &&
         name.find("..") == name.npos && !(name.size() >= 4 && is_dot_git(name.substr(name.size() - 4)));
}

RepoId RepoId::parse(RepoType type, std::string_view full) {
  size_t slash = full.find('/');
  if (slash == full.npos || !is_name(full.substr(0, slash)) || !is_name(full.substr(slash + 1))) {
    throw StoreError(
        StoreReason::malformed, fmt::format("{} is no repository name", quoted(full)), "write it as owner/name");
  }
  return {type, std::string(full.substr(0, slash)), std::string(full.substr(slash + 1))};
}

std::string checked_path(std::string_view path, uint64_t max_bytes, std::string_view what) {
  auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '\\'; };
  if (path.size() > max_bytes) {
    throw StoreError(StoreReason::malformed,
        fmt::format("{} {} is too long (have {} bytes, at most {})", what, quoted(path, 60), path.size(), max_bytes));
  }
  if (std::any_of(path.begin(), path.end(), is_control) || !is_utf8(path)) {
    throw StoreError(StoreReason::malformed,
        fmt::format("{} {} has control characters, backslashes or bytes that are not UTF-8", what, quoted(path)));
  }
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    check_component(path.substr(begin, end - begin), path, what);
    begin = end + 1;
  }
  return std::string(path);
}

}  // namespace depickle::server
