#include "server/hub/repos/repo_id.h"

#include <strings.h>

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::repos {
namespace {

constexpr std::string_view kSingular[] = {"model", "dataset", "space"};
constexpr std::string_view kPlural[] = {"models", "datasets", "spaces"};
constexpr size_t kMaxNameLength = 96;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

bool ends_with_git(std::string_view name) {
  return name.size() >= 4 && ::strncasecmp(name.data() + name.size() - 4, ".git", 4) == 0;
}

}  // namespace

std::string_view singular(RepoType type) noexcept { return kSingular[static_cast<int>(type)]; }
std::string_view plural(RepoType type) noexcept { return kPlural[static_cast<int>(type)]; }

std::optional<RepoType> repo_type(std::string_view name) noexcept {
  for (int i = 0; i < 3; ++i) {
    if (name == kSingular[i] || name == kPlural[i]) return static_cast<RepoType>(i);
  }
  return std::nullopt;
}

bool is_name(std::string_view name) noexcept {
  auto is_forbidden_at_end = [](char c) { return c == '-' || c == '.'; };
  return !name.empty() && name.size() <= kMaxNameLength && std::all_of(name.begin(), name.end(), is_name_character) &&
         !is_forbidden_at_end(name.front()) && !is_forbidden_at_end(name.back()) && name.find("--") == name.npos &&
         name.find("..") == name.npos && !ends_with_git(name);
}

RepoId RepoId::parse(RepoType type, std::string_view full) {
  size_t slash = full.find('/');
  if (slash == full.npos || !is_name(full.substr(0, slash)) || !is_name(full.substr(slash + 1))) {
    throw StoreError(StoreReason::malformed, fmt::format("{} is not a valid repository name", quoted(full)),
        "write it as owner/name");
  }
  return {type, std::string(full.substr(0, slash)), std::string(full.substr(slash + 1))};
}

}  // namespace depickle::server::repos
