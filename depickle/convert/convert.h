// Files and folders made safetensors, and proved to be the same.
//
//   open → plan → temporary sibling → write and compare, piece by piece → digests → source unchanged? → rename
//                                     └──────────── to the disk, meanwhile ────────┘
//
// A target has its name only after every bit was read back through a fresh mapping and compared; a folder commits file by
// file, each model's index after its shards. Whatever stops the work leaves old files or new ones, never parts.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"
#include "depickle/convert/engine.h"
#include "depickle/convert/survey.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {

struct Options {
  PlanOptions plan = {};
  weights::OpenOptions open = {};
  bool checksums = true;  ///< refuse a source that is not what its own checksums say
  bool force = false;     ///< replace targets that exist
  os::Durable durable =
      os::Durable::yes;  ///< no: do not wait for the disk; a power cut may then leave files incomplete
  std::optional<std::filesystem::path> receipt;  ///< where to write one
  unsigned threads = default_threads();
  Engine* engine = nullptr;  ///< what looks into the files; nullptr: local_engine()
};

struct IndexReport {
  std::filesystem::path source;
  std::filesystem::path target;
  uint64_t total_bytes = 0;  ///< its total_size
  std::vector<std::string> notes;
};

struct Report {
  std::vector<FileReport> files;
  std::vector<IndexReport> indexes;
  std::vector<Left> already;    ///< safetensors already, or converted before; not touched
  std::vector<Left> left;       ///< not weights
  std::vector<Failure> failed;  ///< of a folder: what could not be converted, while the rest was
  std::vector<std::string> notes;

  /// Nothing was done because nothing is to be done.
  bool nothing_to_do() const noexcept { return files.empty() && failed.empty(); }
};

/// Converts one file. Where `target` is a folder, the name comes from target_name(). A source that is safetensors already gives a
/// report with nothing_to_do(). Throws Error: what open(), plan() and AtomicFile throw, {integrity} where the comparison finds a
/// difference or the source changed meanwhile, {cancelled}. Then there is no new file.
Report convert_file(const std::filesystem::path& source, const std::filesystem::path& target,
    const Options& options = {}, const Progress& progress = {});

/// Converts every weights file in a folder and below it, into the same folders below `target` (which may be `source`). What cannot be
/// converted is reported as failed and does not stop the rest; a model with a failed shard gets no index. A target that is there and
/// holds the same tensors bit for bit counts as converted before, so a run that was stopped can be run again; any other is an error
/// without `force`. Throws only what concerns the run as a whole: an unreadable folder, {cancelled}, the receipt.
Report convert_folder(const std::filesystem::path& source, const std::filesystem::path& target,
    const Options& options = {}, const Progress& progress = {});

/// The same up to the plan: nothing is written, nothing compared (other than with targets that exist).
Report plan_file(const std::filesystem::path& source, const std::filesystem::path& target, const Options& options = {});
Report plan_folder(
    const std::filesystem::path& source, const std::filesystem::path& target, const Options& options = {});

}  // namespace depickle::convert
