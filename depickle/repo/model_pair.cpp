#include "depickle/repo/model_pair.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "depickle/base/error.h"
#include "depickle/convert/names.h"
#include "depickle/formats/detect/file_name.h"

namespace depickle::repo {
namespace {

constexpr std::string_view kSafetensors = ".safetensors", kSafetensorsIndex = ".safetensors.index";

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

// Returns the name of the single-file layout, as the key of a model in either layout.
std::string key_of(const std::string& safetensors_path) {
  return detect::is_safetensors_index_name(safetensors_path) ? other_layout(safetensors_path) : safetensors_path;
}

// Returns the models by key: each index with its shards, and each file that is not a shard of an index.
std::map<std::string, ModelParts> models_of(
    const std::vector<hub::RepoFile>& files, const ReadIndex& read_index, bool pickles) {
  auto target_of = [&](const std::string& path) -> std::string {
    if (!pickles) return detect::is_safetensors_index_name(path) || detect::is_safetensors_name(path) ? path : "";
    if (detect::is_index_name(path)) return convert::target_index_name(path).value_or("");
    return detect::not_weights(path).empty() ? convert::target_name(path).value_or("") : "";
  };
  std::map<std::string, ModelParts> models;
  std::set<std::string> claimed;
  for (const hub::RepoFile& file : files) {
    if (!detect::is_index_name(file.path)) continue;
    const std::string target = target_of(file.path);
    if (target.empty()) continue;
    ModelParts parts{.entry = file.path, .shards = {}};
    try {
      const safetensors::Index index = read_index(file.path);
      for (const std::string& shard : index.shards()) parts.shards.push_back(folder_of(file.path) + shard);
    } catch (const Error& error) {
      if (error.code() != Code::malformed && error.code() != Code::limit) throw;
    }
    claimed.insert(parts.shards.begin(), parts.shards.end());
    models.emplace(key_of(target), std::move(parts));
  }
  for (const hub::RepoFile& file : files) {
    if (detect::is_index_name(file.path) || claimed.contains(file.path)) continue;
    const std::string target = target_of(file.path);
    if (target.empty()) continue;
    models.emplace(target, ModelParts{.entry = file.path, .shards = {file.path}});
  }
  return models;
}

}  // namespace

std::string other_layout(std::string_view path) {
  if (path.ends_with(kSafetensors)) {
    const std::string_view stem = path.substr(0, path.size() - kSafetensors.size());
    const size_t name = stem.rfind('/') + 1;
    const size_t dot = stem.find('.', name);
    const std::string_view variant = dot == stem.npos ? "" : stem.substr(dot);
    return std::string(stem.substr(0, stem.size() - variant.size())) + std::string(kSafetensorsIndex) +
           std::string(variant) + ".json";
  }
  const size_t middle = path.rfind(kSafetensorsIndex);
  if (middle == path.npos || !path.ends_with(".json")) return {};
  std::string_view variant = path.substr(middle + kSafetensorsIndex.size());  // ".json" or ".fp16.json"
  variant.remove_suffix(std::string_view(".json").size());
  return std::string(path.substr(0, middle)) + std::string(variant) + std::string(kSafetensors);
}

std::vector<ModelPair> pair_models(const std::vector<FileChange>& changes, const std::vector<hub::RepoFile>& before,
    const ReadIndex& read_before, const std::vector<hub::RepoFile>& after, const ReadIndex& read_after) {
  std::set<std::string> touched;
  for (const FileChange& change : changes)
    if (change.change != FileChange::Change::deleted) touched.insert(change.path);
  auto is_touched = [&](const ModelParts& parts) {
    return touched.contains(parts.entry) ||
           std::ranges::any_of(parts.shards, [&](const std::string& shard) { return touched.contains(shard); });
  };
  const auto safetensors = models_of(after, read_after, false);
  std::map<std::string, ModelParts> pickles;
  std::vector<ModelPair> pairs;
  for (const auto& [key, parts] : safetensors) {
    if (!is_touched(parts)) continue;
    if (pairs.empty()) pickles = models_of(before, read_before, true);
    auto pickle = pickles.find(key);
    pairs.push_back({.safetensors = parts, .pickle = pickle == pickles.end() ? ModelParts{} : pickle->second});
  }
  return pairs;
}

}  // namespace depickle::repo
