// Which files .gitattributes sends to git-lfs. Inside the store only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::server {

/// What the Hub writes into a new repository.
extern const std::string_view kHubAttributes;

/// Whether a pattern of .gitattributes matches a path below the file's folder: `*.bin` any depth, `saved_model/**/*`.
bool attribute_matches(std::string_view pattern, std::string_view path);
/// The line that sends exactly `path` to git-lfs, with its end.
std::string attribute_line(std::string_view path);

/// The rules of one tree. As in git: the file in the nearest folder decides, in it the last line.
class Attributes {
 public:
  /// `read` gives the content of a path in the tree, if it is a file of reasonable size.
  explicit Attributes(std::function<std::optional<std::string>(const std::string& path)> read)
      : read_(std::move(read)) {}
  bool is_lfs(std::string_view path);

 private:
  std::function<std::optional<std::string>(const std::string& path)> read_;
  std::map<std::string, std::string, std::less<>> files_;  // folder with its slash → content
};

}  // namespace depickle::server
