#include "server/hub/git/ignore.h"

#include <algorithm>

namespace depickle::server::git {

Ignore::Ignore(std::string content, MatchBudget budget) : content_(std::move(content)), budget_(budget) {
  std::string_view rest = content_;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    add(line);
  }
}

void Ignore::add(std::string_view line) {
  // Spaces at the end do not belong to the pattern, unless a backslash precedes them.
  while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
  if (line.empty() || line.starts_with('#')) return;
  Rule rule;
  if (line.starts_with('!')) {
    rule.is_negated = true;
    line.remove_prefix(1);
  }
  if (line.ends_with('/')) {
    rule.is_folder_only = true;
    line.remove_suffix(1);
  }
  rule.pattern = line;
  if (!line.empty()) rules_.push_back(rule);
}

bool Ignore::ignores(std::string_view path, bool is_folder) {
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule)
    if ((is_folder || !rule->is_folder_only) && pattern_matches(rule->pattern, path, budget_)) return !rule->is_negated;
  return false;
}

bool Ignore::matches(std::string_view path) {
  for (size_t end = path.find('/'); end != path.npos; end = path.find('/', end + 1)) {
    const std::string_view folder = path.substr(0, end);
    auto at = folders_.find(folder);
    if (at == folders_.end()) at = folders_.emplace(folder, ignores(folder, true)).first;
    if (at->second) return true;
  }
  return ignores(path, false);
}

}  // namespace depickle::server::git
