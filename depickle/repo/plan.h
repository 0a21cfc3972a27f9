// Plans the conversion of a repository from names, sizes and indexes. Pure: downloads and writes nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "depickle/convert/survey.h"
#include "depickle/hub/client.h"

namespace depickle::repo {

/// Reads the index at this path of the repository. Throws Error{malformed} if it is invalid. plan() passes on all other
/// errors.
using ReadIndex = std::function<safetensors::Index(const std::string& path)>;

/// All lists are sorted by path. Paths are relative to the repository's root.
struct Plan {
  std::vector<convert::ModelFiles> models;       ///< models to convert
  std::vector<convert::SkippedFile> up_to_date;  ///< pickles whose safetensors exist
  std::vector<convert::SkippedFile> skipped;     ///< pickles that no library loads, or that contain no weights
  std::vector<convert::FailedFile> failed;       ///< invalid indexes, missing shards, two files with the same target
  /// Targets of `models` that exist, because a conversion was interrupted. They are compared with the result.
  std::vector<std::string> present;
  uint64_t source_bytes = 0;  ///< of the models

  bool nothing_to_do() const noexcept { return models.empty() && failed.empty(); }
  /// Returns the files that the conversions write, with indexes, without `present`.
  std::vector<std::string> new_files() const;
  /// Returns the files that the conversions read, and `present`.
  std::vector<std::string> needed_files() const;
};

/// Plans the files that model libraries load: single, sharded, with a variant, in any folder (one per component of a
/// pipeline). convert::target_name() gives the names. A model counts as converted if its safetensors can be loaded,
/// from one file or from shards; if its index names missing shards, it is converted again. Other weights (best.pt) are
/// planned only if the repository contains none of these.
Plan plan(const std::vector<hub::RepoFile>& files, const ReadIndex& read_index);

}  // namespace depickle::repo
