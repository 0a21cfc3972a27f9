// The rules of .gitattributes: which files git-lfs stores.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::server::git {

/// The .gitattributes of a new repository: the LFS patterns of the Hub.
extern const std::string_view kHubAttributes;

/// Returns whether a pattern of .gitattributes matches a path relative to the file's folder. `*.bin` matches at any
/// depth, a pattern with a slash only from the folder.
bool attribute_matches(std::string_view pattern, std::string_view path);
/// Returns the line, with its line end, that makes exactly `path` an LFS file.
std::string attribute_line(std::string_view path);

/// The rules of one tree, applied as git does: the file in the nearest folder decides, and in it the last matching
/// line.
class Attributes {
 public:
  /// `read` returns the content of a path of the tree, or nullopt if it is not a small file.
  explicit Attributes(std::function<std::optional<std::string>(const std::string& path)> read)
      : read_(std::move(read)) {}
  bool is_lfs(std::string_view path);

 private:
  std::function<std::optional<std::string>(const std::string& path)> read_;
  std::map<std::string, std::string, std::less<>> files_;  // folder with its trailing slash → content
};

}  // namespace depickle::server::git
