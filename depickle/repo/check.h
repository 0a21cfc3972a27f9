// Compares a pull request with its base: changed files, and every tensor with the pickle's, bit for bit.
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

/// A tensor or a file that differs from the base's pickle.
struct TensorFinding {
  enum class Kind {
    different,  ///< at least one bit differs
    swapped,    ///< it has the bits of another tensor
    renamed,    ///< no pickle contains this name, and it has the bits of another tensor
    dtype,
    shape,
    missing,     ///< only the pickle contains it
    extra,       ///< only the pull request contains it
    alias,       ///< recorded as another name of a tensor that it does not equal, or stored although loaders derive it
    index,       ///< the index does not name the shard that contains it
    repeated,    ///< two shards contain it
    unmatched,   ///< a file without a corresponding pickle at the base
    unreadable,  ///< a file that is not valid safetensors
    stale,       ///< a file whose pickle has changed on the branch
  };
  Kind kind;
  std::string file;    ///< of the pull request
  std::string tensor;  ///< empty if the finding is about the whole file
  std::string what;    ///< `element 5 is 0x3f800000 in pytorch_model.bin and 0x3f800001 in model.safetensors`
};
/// Returns the kind's name: "different", "swapped" …
std::string_view name(TensorFinding::Kind kind) noexcept;

struct Check {
  enum class Verdict {
    identical,           ///< it adds only weights and indexes, and every tensor is identical
    different,           ///< there are findings
    more_than_weights,   ///< it also adds other files, or changes or deletes files
    nothing_to_compare,  ///< it adds no safetensors
  };
  hub::Discussion discussion;
  std::string base, head;  ///< commits
  std::vector<FileChange> files;
  std::vector<TensorFinding> tensors;
  uint64_t compared = 0;   ///< tensors, by all names of both sides
  uint64_t identical = 0;  ///< of `compared`
  uint64_t compared_bytes = 0;
  std::vector<std::string> notes;

  Verdict verdict() const noexcept;
  bool passed() const noexcept { return verdict() == Verdict::identical; }
  /// Returns the verdict as a sentence for people.
  std::string sentence() const;
};
/// Returns "identical", "different", "more-than-weights" or "nothing-to-compare".
std::string_view name(Check::Verdict verdict) noexcept;

class Engine;

struct CheckOptions {
  unsigned threads = default_threads();
  Progress progress = {};
  Engine* engine = nullptr;  ///< reads the files; nullptr: local_engine(). Not owned
};

/// Compares refs/pr/`number` with its merge base. Files in the cache are read from there; all others are read by range
/// requests and not stored. A compared pickle that has changed on the branch since is a finding: after the merge, the
/// new file would not match it. Throws Error if the comparison is not possible: the repository or pull request does not
/// exist, a login is required, a transient error, a pickle at the base that cannot be read.
Check check(const hub::Client& client, const hub::RepoId& repo, uint64_t number, const CheckOptions& options = {});

}  // namespace depickle::repo
