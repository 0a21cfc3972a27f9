// Finds the weights files that can be converted and decides their target names. Reads names, indexes and the first
// bytes of files, not weights. The answer for a folder is the answer for a repository with the same files.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "depickle/base/error.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/safetensors/index.h"
#include "depickle/weights/model_names.h"

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

/// One weights file, or the shards of one model. All paths are relative to the folder.
struct ModelFiles {
  struct File {
    std::filesystem::path source;
    std::filesystem::path target;
  };
  /// How the file was found.
  enum class Name {
    standard,  ///< model libraries look for it
    other,     ///< it has the extension of a checkpoint
    content,   ///< by its first bytes alone
  };
  std::vector<File> files;
  Name name = Name::standard;
  std::shared_ptr<const safetensors::Index> index = nullptr;  ///< the source's index; nullptr if none is valid
  std::filesystem::path source_index = {};                    ///< empty if there is no index
  std::filesystem::path target_index = {};                    ///< empty for a single file
  bool replaces_index = false;          ///< `target_index` exists, but names files that do not exist
  std::vector<std::string> notes = {};  ///< how the source's index differs from the shards

  bool is_sharded() const noexcept { return !target_index.empty(); }
  /// Returns the file that stands for the model: its index, or the first of its files.
  const std::filesystem::path& main_source() const noexcept {
    return source_index.empty() ? files.front().source : source_index;
  }
};

/// All lists are sorted by path.
struct Survey {
  std::vector<ModelFiles> models;
  std::vector<SkippedFile> up_to_date;  ///< files whose safetensors exist in the same folder
  std::vector<SkippedFile> skipped;     ///< files that are not weights, or that no library would load
  std::vector<FailedFile> failed;       ///< broken indexes, missing shards, two files with the same target
};

/// Returns whether safetensors may have been converted from pickles: all their tensors are in these, with equal dtypes
/// and shapes. Also true if the files cannot be read.
using EqualTables = std::function<bool(const std::vector<std::string>& pickles, const std::string& safetensors)>;

/// The files of a folder or repository.
struct Listing {
  std::set<std::string> files;  ///< relative paths, with `/`
  weights::ReadIndex read_index;
  /// Returns the kind of a file. May throw. Empty: files are found by their names alone.
  std::function<detect::FileKind(const std::string& path)> kind_of = {};
  /// Asked about shards beside a single safetensors file. Empty: the safetensors count as their conversion.
  EqualTables equal_tables = {};
};

/// Surveys the files:
///   - A model under a standard name (weights::ModelName) is converted to the name that libraries look for, unless they
///     find safetensors for it. weights::shards_of() decides which shards belong to it. Shards are also converted if
///     the single safetensors file beside them has other tensors, such as a quantized copy; that file stays.
///   - If such a model, or the model_index.json of a pipeline, is in a folder, other checkpoints in this folder and
///     below it are skipped: best.pt beside pytorch_model.bin.
///   - Otherwise every file with the extension of a checkpoint is converted to NAME.safetensors; two files with the
///   same
///     target are failures.
///   - A file with another extension, or none, that begins like a checkpoint is converted if its folder contains no
///     other weights; otherwise it is skipped and named.
/// `force` ignores existing safetensors. Passes on the errors of `listing`, except invalid indexes.
Survey survey(const Listing& listing, bool force);

/// Surveys `folder` and its subfolders, except hidden folders and `skip`. Follows links to files, because a snapshot in
/// a Hub cache consists of links; does not follow links to folders. Throws Error if the folder cannot be read.
Survey survey_folder(
    const std::filesystem::path& folder, const std::filesystem::path& skip, bool force, EqualTables equal_tables = {});

}  // namespace depickle::convert
