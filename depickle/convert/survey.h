// What a folder holds that can be converted, and what each part will be called. Looks at names and indexes, not into weights.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "depickle/base/error.h"
#include "depickle/formats/safetensors/index.h"

namespace depickle::convert {

/// A file that is left as it is, and why.
struct Left {
  std::filesystem::path file;
  std::string reason;
};

/// A file that could not be converted.
struct Failure {
  std::filesystem::path file;
  Error error;
};

/// One weights file, or the shards of one model with their index. All paths count from the folder.
struct Job {
  struct File {
    std::filesystem::path source;
    std::filesystem::path target;
  };
  std::vector<File> files;
  std::shared_ptr<const safetensors::Index> index = nullptr;  ///< of the source; nullptr where it is one file
  std::filesystem::path source_index = {};
  std::filesystem::path target_index = {};
};

/// Everything is sorted by path.
struct Survey {
  std::vector<Job> jobs;
  std::vector<Left> already;    ///< files whose safetensors twin stands beside them
  std::vector<Left> left;       ///< files with a weights file's ending that hold no weights, by their names
  std::vector<Failure> failed;  ///< broken indexes, missing shards, two files that would get one name
  uint64_t safetensors_files = 0;
};

/// Looks through `folder` and what is below it, hidden folders and `skip` aside. Links to files are followed (a snapshot in a Hub cache
/// is made of them), links to folders are not. With `again`, twins do not matter.
/// Throws Error where the folder cannot be read.
Survey survey(const std::filesystem::path& folder, const std::filesystem::path& skip, bool again);

/// The same of a list of names, wherever the files are. `read_index` is called for each index of pickled shards; what it throws is that
/// model's failure.
using ReadIndex = std::function<safetensors::Index(const std::filesystem::path& file)>;
Survey survey(std::vector<std::filesystem::path> files, const ReadIndex& read_index, bool again);

}  // namespace depickle::convert
