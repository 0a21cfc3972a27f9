// Finds the pickle that a safetensors model was converted from, by names and indexes.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/repo/tree_diff.h"
#include "depickle/weights/model_names.h"

namespace depickle::repo {

/// The files of one model: a single file, or an index and its shards. Paths are relative to the repository's root.
struct ModelParts {
  std::string entry;                ///< the index or the single file; empty if the model does not exist
  std::vector<std::string> shards;  ///< the files with the tensors; the entry itself if it is not an index
  std::string problem = {};         ///< why the files cannot be determined; empty otherwise
};

/// A changed safetensors model and the pickle that it should equal.
struct ModelPair {
  ModelParts safetensors;
  ModelParts pickle;  ///< `entry` is empty if no pickle matches
};

/// The files of one commit, and its indexes. Keeps references.
struct CommitFiles {
  const std::set<std::string>& names;
  weights::Indexes& indexes;
};

/// Returns a pair for each safetensors file and each index that was changed, or whose shards were changed, sorted by
/// entry. Two layouts of one model are two pairs: loaders disagree about which one counts.
///
/// The pickle is what a library loads without the safetensors (weights::shards_of()); for other names, the only
/// checkpoint with this target. An index that is not valid is a model without shards, and a shard that no index names
/// is a model with a problem.
std::vector<ModelPair> pair_models(
    const std::vector<FileChange>& changes, const CommitFiles& before, const CommitFiles& after);

}  // namespace depickle::repo
