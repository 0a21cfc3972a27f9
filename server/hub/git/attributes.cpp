#include "server/hub/git/attributes.h"

#include <fnmatch.h>

#include <algorithm>
#include <sstream>
#include <vector>

namespace depickle::server::git {
namespace {

std::string hub_attributes() {
  std::string text;
  for (const char* pattern : {"*.7z", "*.arrow", "*.bin", "*.bz2", "*.ckpt", "*.ftz", "*.gz", "*.h5", "*.joblib",
           "*.lfs.*", "*.mlmodel", "*.model", "*.msgpack", "*.npy", "*.npz", "*.onnx", "*.ot", "*.parquet", "*.pb",
           "*.pickle", "*.pkl", "*.pt", "*.pth", "*.rar", "*.safetensors", "saved_model/**/*", "*.tar.*", "*.tar",
           "*.tflite", "*.tgz", "*.wasm", "*.xz", "*.zip", "*.zst", "*tfevents*"}) {
    text += std::string(pattern) + " filter=lfs diff=lfs merge=lfs -text\n";
  }
  return text;
}
const std::string kHubAttributesText = hub_attributes();

// Matches a pattern of tokens; a star token matches any number of items. Backtracking to the last star is sufficient,
// so the cost is at most tokens times items, for hostile patterns too.
template <typename Items, typename IsStar, typename Matches>
bool tokens_match(const std::vector<std::string>& tokens, const Items& items, IsStar is_star, Matches matches) {
  size_t token = 0, item = 0, after_star = 0, star_item = 0;
  while (item < items.size()) {
    if (token < tokens.size() && is_star(tokens[token])) {
      after_star = ++token;
      star_item = item;
    } else if (token < tokens.size() && matches(tokens[token], items[item])) {
      ++token;
      ++item;
    } else if (after_star > 0) {
      token = after_star;
      item = ++star_item;
    } else {
      return false;
    }
  }
  while (token < tokens.size() && is_star(tokens[token])) ++token;
  return token == tokens.size();
}

// Splits a pattern into tokens: `a\*[[:space:]]*` → a, \*, [[:space:]], *
std::vector<std::string> tokens_of(std::string_view pattern) {
  std::vector<std::string> tokens;
  for (size_t at = 0; at < pattern.size();) {
    size_t length = 1;
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      length = 2;
    } else if (pattern[at] == '[') {
      size_t end = at + 1;
      if (end < pattern.size() && (pattern[end] == '!' || pattern[end] == '^')) ++end;
      if (end < pattern.size() && pattern[end] == ']') ++end;
      while (end < pattern.size() && pattern[end] != ']') {
        size_t named = pattern.substr(end, 2) == "[:" ? pattern.find(":]", end) : pattern.npos;
        end = named == pattern.npos ? end + 1 : named + 2;
      }
      if (end < pattern.size()) length = end + 1 - at;
    }
    tokens.emplace_back(pattern.substr(at, length));
    at += length;
  }
  return tokens;
}

bool part_matches(const std::string& pattern, const std::string& part) {
  auto is_star = [](const std::string& token) { return token == "*"; };
  return tokens_match(tokens_of(pattern), part, is_star, [](const std::string& token, char c) {
    if (token == "?") return true;
    if (token.size() == 1) return token[0] == c;
    if (token.size() == 2) return token[1] == c;
    return ::fnmatch(token.c_str(), std::string(1, c).c_str(), 0) == 0;
  });
}

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    parts.emplace_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool parts_match(std::string_view pattern, std::string_view path) {
  std::vector<std::string> tokens = parts_of(pattern);
  if (tokens.back() == "**") tokens.emplace_back("*");  // matches the content of the folder, not the folder
  return tokens_match(tokens, parts_of(path), [](const std::string& token) { return token == "**"; }, part_matches);
}

// Returns nullopt if no line of `content` matches `path`.
std::optional<bool> filter_of(const std::string& content, std::string_view path) {
  std::optional<bool> found;
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string pattern, field;
    if (!(fields >> pattern) || pattern.starts_with('#') || !attribute_matches(pattern, path)) continue;
    while (fields >> field) {
      if (field == "filter=lfs")
        found = true;
      else if (field == "-filter" || field == "!filter" || field.starts_with("filter="))
        found = false;
    }
  }
  return found;
}

}  // namespace

const std::string_view kHubAttributes = kHubAttributesText;

bool attribute_matches(std::string_view pattern, std::string_view path) {
  if (pattern.starts_with('/')) return parts_match(pattern.substr(1), path);
  if (pattern.find('/') != pattern.npos) return parts_match(pattern, path);
  return parts_match(pattern, path.substr(path.rfind('/') + 1));
}

std::string attribute_line(std::string_view path) {
  std::string pattern;
  for (char c : path) {
    if (c == ' ') {
      pattern += "[[:space:]]";
    } else {
      if (c == '*' || c == '?' || c == '[' || (pattern.empty() && (c == '#' || c == '!' || c == '"'))) pattern += '\\';
      pattern += c;
    }
  }
  // A pattern without a slash would match in every folder.
  if (path.find('/') == path.npos) pattern = "/" + pattern;
  return pattern + " filter=lfs diff=lfs merge=lfs -text\n";
}

bool Attributes::is_lfs(std::string_view path) {
  for (size_t end = path.rfind('/');; end = end == 0 ? path.npos : path.rfind('/', end - 1)) {
    std::string_view folder = end == path.npos ? std::string_view() : path.substr(0, end + 1);
    auto at = files_.find(folder);
    if (at == files_.end()) {
      std::string file = std::string(folder) + ".gitattributes";
      at = files_.emplace(folder, read_(file).value_or("")).first;
    }
    if (std::optional<bool> found = filter_of(at->second, path.substr(folder.size()))) return *found;
    if (folder.empty()) return false;
  }
}

}  // namespace depickle::server::git
