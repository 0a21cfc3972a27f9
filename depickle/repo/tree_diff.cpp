#include "depickle/repo/tree_diff.h"

#include <algorithm>
#include <array>
#include <map>

#include "depickle/repo/pick.h"

namespace depickle::repo {

std::string_view name(FileChange::Change change) noexcept {
  constexpr std::array<std::string_view, 3> kNames = {"added", "changed", "deleted"};
  return kNames[static_cast<size_t>(change)];
}

std::string_view name(FileChange::Kind kind) noexcept {
  constexpr std::array<std::string_view, 6> kNames = {"weights", "index", "pickle", "code", "config", "other"};
  return kNames[static_cast<size_t>(kind)];
}

FileChange::Kind kind_of(std::string_view path) noexcept {
  using Kind = FileChange::Kind;
  auto ends_with_any = [&](std::initializer_list<std::string_view> endings) {
    return std::ranges::any_of(endings, [&](std::string_view ending) { return path.ends_with(ending); });
  };
  if (path.ends_with(".safetensors")) return Kind::weights;
  if (is_index_name(path)) return path.find(".safetensors.index.") != path.npos ? Kind::index : Kind::pickle;
  if (is_pickle_name(path)) return Kind::pickle;
  if (ends_with_any({".py", ".pyc", ".so", ".sh", ".ipynb", ".js", ".dll", ".dylib", ".exe"})) return Kind::code;
  if (ends_with_any({".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".gitattributes", ".jinja"}))
    return Kind::config;
  return Kind::other;
}

std::vector<FileChange> tree_diff(const std::vector<hub::RepoFile>& before, const std::vector<hub::RepoFile>& after) {
  using Change = FileChange::Change;
  std::map<std::string_view, std::pair<const hub::RepoFile*, const hub::RepoFile*>> both;
  for (const hub::RepoFile& file : before) both[file.path].first = &file;
  for (const hub::RepoFile& file : after) both[file.path].second = &file;
  std::vector<FileChange> changes;
  for (const auto& [path, sides] : both) {
    const auto [old_file, new_file] = sides;
    if (old_file && new_file && old_file->etag() == new_file->etag()) continue;
    changes.push_back({.change = !old_file   ? Change::added
                                 : !new_file ? Change::deleted
                                             : Change::changed,
        .kind = kind_of(path),
        .path = std::string(path),
        .size_bytes = (new_file ? new_file : old_file)->size_bytes});
  }
  return changes;
}

}  // namespace depickle::repo
