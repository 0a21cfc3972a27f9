// Finds the weights files that can be converted and decides their target names. Reads names and indexes, not weights.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "depickle/base/error.h"
#include "depickle/formats/safetensors/index.h"

namespace depickle::convert {

/// A file that was not converted, and why.
struct SkippedFile {
  std::filesystem::path file;
  std::string reason;
};

/// A file that could not be converted.
struct FailedFile {
  std::filesystem::path file;
  Error error;
};

/// One weights file, or the shards of one model with their index. All paths are relative to the folder.
struct ModelFiles {
  struct File {
    std::filesystem::path source;
    std::filesystem::path target;
  };
  std::vector<File> files;
  std::shared_ptr<const safetensors::Index> index = nullptr;  ///< the source's index; nullptr for a single file
  std::filesystem::path source_index = {};
  std::filesystem::path target_index = {};
};

/// All lists are sorted by path.
struct Survey {
  std::vector<ModelFiles> models;
  std::vector<SkippedFile> up_to_date;  ///< files whose target exists in the same folder
  std::vector<SkippedFile> skipped;     ///< files with a weights file extension that are not weights by their name
  std::vector<FailedFile> failed;       ///< broken indexes, missing shards, two files with the same target
};

/// Lists `folder` and its subfolders, except hidden folders and `skip`. Follows links to files, because a snapshot in a
/// Hub cache consists of links; does not follow links to folders. `force` ignores existing targets.
/// Throws Error if the folder cannot be read.
Survey survey_folder(const std::filesystem::path& folder, const std::filesystem::path& skip, bool force);

using ReadIndex = std::function<safetensors::Index(const std::filesystem::path& file)>;
/// Does the same for a list of names. Calls `read_index` for each index of pickled shards; an Error that it throws is
/// reported in `failed`.
Survey survey_files(std::vector<std::filesystem::path> files, const ReadIndex& read_index, bool force);

}  // namespace depickle::convert
