// The rules of .gitattributes: which files git-lfs stores.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/hub/git/pattern.h"

namespace depickle::server::git {

/// The .gitattributes of a new repository: the LFS patterns of the Hub.
extern const std::string_view kHubAttributes;

/// Returns the line, with its line end, that makes exactly `path` an LFS file.
std::string attribute_line(std::string_view path);

/// The rules of one .gitattributes file, parsed once. A path is looked up among the patterns without wildcards, so
/// thousands of lines that attribute_line() wrote cost nothing.
class AttributeFile {
 public:
  explicit AttributeFile(std::string content);
  AttributeFile(const AttributeFile&) = delete;
  AttributeFile& operator=(const AttributeFile&) = delete;
  /// Returns what the last matching line says; nullopt if no line matches. `path` is relative to the file's folder.
  std::optional<bool> is_lfs(std::string_view path, MatchBudget& budget) const;

 private:
  struct Rule {
    size_t line = 0;
    bool is_lfs = false;
  };
  struct Wildcard : Rule {
    std::string_view pattern;  ///< in content_
  };
  void add(std::string_view line, size_t number);

  const std::string content_;
  std::map<std::string, Rule, std::less<>> names_, paths_;  ///< patterns without wildcards, without and with a slash
  std::vector<Wildcard> wildcards_;                         ///< in the order of their lines
};

/// The rules of one tree, applied as git does: the file in the nearest folder decides, and in it the last matching
/// line.
class Attributes {
 public:
  /// `read` returns the content of a path of the tree, or nullopt if it is not a small file.
  explicit Attributes(
      std::function<std::optional<std::string>(const std::string& path)> read, MatchBudget budget = MatchBudget())
      : read_(std::move(read)),
        budget_(budget) {}
  /// Throws StoreError{too_large} if the patterns of all calls take too long.
  bool is_lfs(std::string_view path);

 private:
  std::function<std::optional<std::string>(const std::string& path)> read_;
  std::map<std::string, AttributeFile, std::less<>> files_;  ///< by folder, with its trailing slash
  MatchBudget budget_;
};

}  // namespace depickle::server::git
