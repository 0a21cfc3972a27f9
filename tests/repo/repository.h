// File lists of repositories, for tests.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "depickle/repo/plan.h"

namespace depickle::repo {

inline const std::string kBinIndex = "pytorch_model.bin.index.json", kNewIndex = "model.safetensors.index.json";

/// Returns files with these names. `ids` overrides the content ids.
inline std::vector<hub::RepoFile> files_named(
    const std::vector<std::string>& names, const std::map<std::string, std::string>& ids = {}) {
  std::vector<hub::RepoFile> files;
  for (const std::string& name : names) {
    auto id = ids.find(name);
    files.push_back(
        {.path = name, .size_bytes = 10, .blob_id = {}, .sha256 = id == ids.end() ? "id of " + name : id->second});
  }
  return files;
}

/// Returns a function that parses the index texts of `texts`.
inline PlanReaders indexes(std::map<std::string, std::string> texts) {
  return {.read_index = [texts = std::move(texts)](
                            const std::string& path) { return safetensors::Index::parse(texts.at(path)); }};
}

/// Returns the index of two shards with one tensor each.
inline std::string two_shards(const std::string& stem, const std::string& ending) {
  return R"({"metadata": {"total_size": 8}, "weight_map": {"a": ")" + stem + "-00001-of-00002" + ending +
         R"(", "b": ")" + stem + "-00002-of-00002" + ending + R"("}})";
}

}  // namespace depickle::repo
