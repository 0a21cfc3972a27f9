// The patterns of .gitattributes and .gitignore.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace depickle::server::git {

/// Limits the work of matching many patterns with many paths: a client chooses both.
class MatchBudget {
 public:
  static constexpr uint64_t kSteps = 100'000'000;  // less than a second
  explicit MatchBudget(uint64_t steps = kSteps) : steps_(steps) {}
  /// Throws StoreError{too_large} if nothing is left.
  void spend(uint64_t steps);

 private:
  uint64_t steps_;
};

/// Returns whether a pattern matches a path relative to the folder of its file. `*.bin` matches at any depth, a pattern
/// with a slash only from the folder. The cost is at most the product of the lengths.
bool pattern_matches(std::string_view pattern, std::string_view path, MatchBudget& budget);

/// Returns whether a pattern contains `*`, `?` or `[`, other than after a backslash.
bool has_wildcard(std::string_view pattern) noexcept;

/// Returns the pattern that matches exactly the text, without its backslashes.
std::string unescaped(std::string_view pattern);

}  // namespace depickle::server::git
