// The rules of .gitignore.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/hub/git/pattern.h"

namespace depickle::server::git {

/// One .gitignore file, applied as git does: the last matching line decides, and a file in an ignored folder is
/// ignored.
class Ignore {
 public:
  explicit Ignore(std::string content, MatchBudget budget = MatchBudget());
  Ignore(const Ignore&) = delete;
  Ignore& operator=(const Ignore&) = delete;
  /// Returns whether the file `path` is ignored. Throws StoreError{too_large} if the patterns of all calls take too
  /// long.
  bool matches(std::string_view path);

 private:
  struct Rule {
    std::string_view pattern;  ///< in content_
    bool is_negated = false;
    bool is_folder_only = false;
  };
  void add(std::string_view line);
  /// Returns whether the last line that matches `path`, a file or a folder, ignores it.
  bool ignores(std::string_view path, bool is_folder);

  const std::string content_;
  std::vector<Rule> rules_;
  std::map<std::string, bool, std::less<>> folders_;  ///< the folders of earlier calls
  MatchBudget budget_;
};

}  // namespace depickle::server::git
