// Finds the pickle that a safetensors model was converted from, by their names. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/client.h"
#include "depickle/repo/plan.h"
#include "depickle/repo/tree_diff.h"

namespace depickle::repo {

/// Returns the other name under which a loader finds the same safetensors model:
/// model.fp16.safetensors ↔ model.safetensors.index.fp16.json. Empty for other names.
std::string other_layout(std::string_view path);

/// The files of one model: a single file, or an index and its shards. Paths are relative to the repository's root.
struct ModelParts {
  std::string entry;                ///< the index or the single file; empty if the model does not exist
  std::vector<std::string> shards;  ///< the files with the tensors; the entry itself if it is not an index
};

/// A changed safetensors model and the pickle that it should equal.
struct ModelPair {
  ModelParts safetensors;
  ModelParts pickle;  ///< `entry` is empty if no pickle matches
};

/// Returns the pairs for the changed safetensors models, sorted by entry. `before` and `after` are the files at the two
/// commits; `read_before` and `read_after` read their indexes. An index that cannot be parsed counts as a model without
/// shards, a new shard that no index names as a model of its own.
std::vector<ModelPair> pair_models(const std::vector<FileChange>& changes, const std::vector<hub::RepoFile>& before,
    const ReadIndex& read_before, const std::vector<hub::RepoFile>& after, const ReadIndex& read_after);

}  // namespace depickle::repo
