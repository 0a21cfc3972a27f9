// A pull request held against what it claims: which files change, and whether each tensor is the pickle's, to the last
// bit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"
#include "depickle/hub/discussions.h"
#include "depickle/repo/tree_diff.h"

namespace depickle::repo {

/// A tensor, or a file as a whole, that is not what the base's pickle makes it.
struct TensorFinding {
  enum class Kind {
    different,  ///< a bit differs
    swapped,    ///< its bits are those of another tensor
    renamed,    ///< no pickle has this name, and its bits are those of a tensor that is missing
    dtype,
    shape,
    missing,  ///< the pickle has it, the pull request does not
    extra,    ///< the other way round
    alias,  ///< recorded, or tied, as a name of a tensor that it does not equal; or the name that loaders make was kept
    index,  ///< the index names another shard, or none
    repeated,    ///< two shards hold it
    unmatched,   ///< a file with no pickle at the base to compare it with
    unreadable,  ///< a file that is not safetensors
    stale,       ///< a file whose pickle is another one on the branch by now
  };
  Kind kind;
  std::string file;    ///< of the pull request
  std::string tensor;  ///< empty where the file as a whole is meant
  std::string what;  ///< a sentence: `element 5 is 0x3f800000 in pytorch_model.bin and 0x3f800001 in model.safetensors`
};
/// "different", "swapped" …: the kind's own name.
std::string_view name(TensorFinding::Kind kind) noexcept;

struct Check {
  enum class Verdict {
    identical,           ///< only weights and indexes are added, and every tensor is identical
    different,           ///< a tensor is not
    more_than_weights,   ///< other files change too, or files that were there
    nothing_to_compare,  ///< it adds no safetensors
  };
  hub::Discussion discussion;
  std::string base, head;  ///< commits
  std::vector<FileChange> files;
  std::vector<TensorFinding> tensors;
  uint64_t compared = 0;   ///< tensors: names on either side
  uint64_t identical = 0;  ///< of them
  uint64_t compared_bytes = 0;
  std::vector<std::string> notes;

  Verdict verdict() const noexcept;
  bool passed() const noexcept { return verdict() == Verdict::identical; }
  /// One sentence for people.
  std::string sentence() const;
};
/// "identical", "different", "more-than-weights", "nothing-to-compare".
std::string_view name(Check::Verdict verdict) noexcept;

class Engine;

struct CheckOptions {
  unsigned threads = default_threads();
  Progress progress = {};
  Engine* engine = nullptr;  ///< what looks into the files (repo/engine.h); nullptr: this process
};

/// Compares refs/pr/`number` with the commit where it left its branch. What the cache has is read there; everything
/// else is read by
/// ranges and not stored. Where the branch has moved on since, and one of the compared pickles with it, that is a
/// finding: merged, the two
/// would not belong together. Throws Error if it cannot look: no such repository or pull request, a login, a transient error,
/// a pickle at the base that cannot be read.
Check check(const hub::Client& client, const hub::RepoId& repo, uint64_t number, const CheckOptions& options = {});

}  // namespace depickle::repo
