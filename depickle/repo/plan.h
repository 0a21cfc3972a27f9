// What a conversion of a repository will do. Pure: names, sizes and indexes in, names out; nothing is downloaded or
// written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "depickle/convert/survey.h"
#include "depickle/hub/client.h"

namespace depickle::repo {

/// The index at this path of the repository. Throws Error{malformed} where it is broken; what else it throws, plan()
/// does.
using ReadIndex = std::function<safetensors::Index(const std::string& path)>;

/// Everything is sorted by path; all paths count from the repository's root.
struct Plan {
  std::vector<convert::ModelFiles> jobs;      ///< to be converted
  std::vector<convert::SkippedFile> already;  ///< pickles whose safetensors are there
  std::vector<convert::SkippedFile> left;     ///< pickles that no library looks for, or that hold no weights
  std::vector<convert::FailedFile> failed;    ///< broken indexes, missing shards, two files that would get one name
  std::vector<std::string>
      present;  ///< of the jobs' targets, those that are there: a conversion broke off, and they must prove equal
  uint64_t source_bytes = 0;  ///< of the jobs

  bool nothing_to_do() const noexcept { return jobs.empty() && failed.empty(); }
  /// What the jobs write, indexes included; without what is present.
  std::vector<std::string> new_files() const;
  /// What the jobs read, and what must prove equal.
  std::vector<std::string> needed_files() const;
};

/// Plans the files that model libraries look for: single, sharded, with a variant, in any folder (each component of a
/// pipeline has one).
/// Names: convert::target_name(). A model counts as converted where its safetensors can be loaded, in one file or in
/// shards; one
/// whose index names missing shards is converted again. Other weights (best.pt) are planned only where there are none
/// of these.
Plan plan(const std::vector<hub::RepoFile>& files, const ReadIndex& read_index);

}  // namespace depickle::repo
