#include "depickle/repo/tree_diff.h"

#include <array>
#include <map>

#include "depickle/formats/detect/file_name.h"

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
  if (detect::is_safetensors_name(path)) return Kind::weights;
  if (detect::is_index_name(path)) return detect::is_safetensors_index_name(path) ? Kind::index : Kind::pickle;
  if (detect::is_pickle_name(path)) return Kind::pickle;
  if (detect::is_code_name(path)) return Kind::code;
  if (detect::is_config_name(path)) return Kind::config;
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
