// Which pickle of a repository a safetensors model is the conversion of: by their names. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/client.h"
#include "depickle/repo/plan.h"
#include "depickle/repo/tree_diff.h"

namespace depickle::repo {

/// The other name under which a loader would find the same safetensors model:
/// model.fp16.safetensors ↔ model.safetensors.index.fp16.json. Empty for other names.
std::string other_layout(std::string_view path);

/// One model by its files: itself, or an index and its shards. Paths count from the repository's root.
struct ModelParts {
  std::string entry;                ///< the index, or the only part; empty where there is no such model
  std::vector<std::string> shards;  ///< that hold the tensors; the entry itself where it is no index
};

/// A safetensors model that a change touches, and the pickle that it should equal.
struct ModelPair {
  ModelParts safetensors;
  ModelParts pickle;  ///< entry empty: none has the name
};

/// `before` and `after` are the files at the two commits; the indexes among them are read by the two functions. An
/// index that cannot be parsed counts
/// as a model with no shards. Sorted by the safetensors' entry. A new shard that no index names is a model of its own.
std::vector<ModelPair> pair_models(const std::vector<FileChange>& changes, const std::vector<hub::RepoFile>& before,
    const ReadIndex& read_before, const std::vector<hub::RepoFile>& after, const ReadIndex& read_after);

}  // namespace depickle::repo
