#include "server/hub/git/pattern.h"

#include <fnmatch.h>

#include <algorithm>
#include <vector>

#include "server/hub/git/store_error.h"

namespace depickle::server::git {
namespace {

// Matches `item_count` items with the tokens of a pattern. A star token matches any number of items. Backtracking to
// the last star is sufficient, so the cost is at most tokens times items, for hostile patterns too. `next` returns the
// end of the token at a position.
template <typename Next, typename IsStar, typename Matches>
bool tokens_match(size_t pattern_end, size_t item_count, Next next, IsStar is_star, Matches matches) {
  size_t token = 0, item = 0, after_star = 0, star_item = 0;
  while (item < item_count) {
    if (token < pattern_end && is_star(token)) {
      token = after_star = next(token);
      star_item = item;
    } else if (token < pattern_end && matches(token, item)) {
      token = next(token);
      ++item;
    } else if (after_star > 0) {
      token = after_star;
      item = ++star_item;
    } else {
      return false;
    }
  }
  while (token < pattern_end && is_star(token)) token = next(token);
  return token == pattern_end;
}

// Returns the end of the token at `at`: `a`, `\*`, `[[:space:]]` or `*`.
size_t end_of_token(std::string_view pattern, size_t at) {
  if (pattern[at] == '\\' && at + 1 < pattern.size()) return at + 2;
  if (pattern[at] != '[') return at + 1;
  size_t end = at + 1;
  if (end < pattern.size() && (pattern[end] == '!' || pattern[end] == '^')) ++end;
  if (end < pattern.size() && pattern[end] == ']') ++end;
  while (end < pattern.size() && pattern[end] != ']') {
    size_t named = pattern.substr(end, 2) == "[:" ? pattern.find(":]", end) : pattern.npos;
    end = named == pattern.npos ? end + 1 : named + 2;
  }
  return end < pattern.size() ? end + 1 : at + 1;
}

bool token_matches(std::string_view token, char c, MatchBudget& budget) {
  if (token == "?") return true;
  if (token.size() == 1) return token[0] == c;
  if (token.size() == 2) return token[1] == c;
  constexpr uint64_t kStepsOfCall = 10;
  budget.spend(kStepsOfCall);
  return ::fnmatch(std::string(token).c_str(), std::string(1, c).c_str(), 0) == 0;
}

bool part_matches(std::string_view pattern, std::string_view part, MatchBudget& budget) {
  auto next = [&](size_t at) {
    const size_t end = end_of_token(pattern, at);
    budget.spend(end - at);
    return end;
  };
  auto is_star = [&](size_t at) { return pattern[at] == '*'; };
  return tokens_match(pattern.size(), part.size(), next, is_star, [&](size_t at, size_t item) {
    const size_t end = end_of_token(pattern, at);
    budget.spend(end - at);
    return token_matches(pattern.substr(at, end - at), part[item], budget);
  });
}

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool parts_match(std::string_view pattern, std::string_view path, MatchBudget& budget) {
  budget.spend(pattern.size() + path.size());
  std::vector<std::string_view> tokens = parts_of(pattern);
  if (tokens.back() == "**") tokens.emplace_back("*");  // matches the content of the folder, not the folder
  const std::vector<std::string_view> parts = parts_of(path);
  auto next = [](size_t token) { return token + 1; };
  auto is_star = [&](size_t token) { return tokens[token] == "**"; };
  return tokens_match(tokens.size(), parts.size(), next, is_star,
      [&](size_t token, size_t item) { return part_matches(tokens[token], parts[item], budget); });
}

}  // namespace

void MatchBudget::spend(uint64_t steps) {
  if (steps > steps_)
    throw StoreError(
        StoreReason::too_large, ".gitattributes or .gitignore has too many patterns for the files of the request");
  steps_ -= steps;
}

bool pattern_matches(std::string_view pattern, std::string_view path, MatchBudget& budget) {
  budget.spend(1);
  if (pattern.starts_with('/')) return parts_match(pattern.substr(1), path, budget);
  if (pattern.find('/') != pattern.npos) return parts_match(pattern, path, budget);
  return part_matches(pattern, path.substr(path.rfind('/') + 1), budget);
}

bool has_wildcard(std::string_view pattern) noexcept {
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '\\')
      ++at;
    else if (pattern[at] == '*' || pattern[at] == '?' || pattern[at] == '[')
      return true;
  }
  return false;
}

std::string unescaped(std::string_view pattern) {
  std::string text;
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    text += pattern[at];
  }
  return text;
}

}  // namespace depickle::server::git
