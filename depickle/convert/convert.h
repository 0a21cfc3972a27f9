// Converts files and folders to safetensors and checks the result.
//
//   open → plan → temporary file → write and compare, block by block → digests → source unchanged? → rename
//                                  └─────────── sync to the disk in parallel ───────┘
//
// A target gets its name only after every bit was read back through a second mapping and compared. A folder commits
// file by file, and each model's index after its shards. An interrupted run leaves complete old or complete new files.
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
  bool checksums = true;  ///< refuse a source that does not match the checksums it contains
  bool force = false;     ///< replace existing targets
  /// no: do not wait for the disk; files may be incomplete after a power failure.
  os::Durable durable = os::Durable::yes;
  std::optional<std::filesystem::path> receipt;  ///< where to write the receipt, if wanted
  unsigned threads = default_threads();
  Engine* engine = nullptr;  ///< reads the files; nullptr: local_engine()
};

struct IndexReport {
  std::filesystem::path source;
  std::filesystem::path target;
  uint64_t total_bytes = 0;  ///< the index's total_size
  std::vector<std::string> notes;
};

struct Report {
  std::vector<FileReport> files;
  std::vector<IndexReport> indexes;
  std::vector<SkippedFile> up_to_date;  ///< safetensors files and sources that were converted before; not changed
  std::vector<SkippedFile> skipped;     ///< files that are not weights
  std::vector<FailedFile> failed;       ///< of a folder: sources that could not be converted; the others were
  std::vector<std::string> notes;

  bool nothing_to_do() const noexcept { return files.empty() && failed.empty(); }
};

/// Converts one file. If `target` is a folder, target_name() gives the file name. If the source is a safetensors file,
/// or the target exists with the same tensors, bit for bit, the report has nothing_to_do(). Throws Error: everything
/// that open(), plan_conversion() and AtomicFile throw, Error{integrity} if the comparison finds a difference or the
/// source changed meanwhile, Error{cancelled}. After an error, the target was not created.
Report convert_file(const std::filesystem::path& source, const std::filesystem::path& target,
    const Options& options = {}, const Progress& progress = {});

/// Converts one file and writes the result to an open descriptor, such as that of a pipe. The file is written to an
/// unnamed temporary file and compared there first, so after another error than one of the copy, nothing was written.
/// Ignores Options::receipt, force and durable. Throws as convert_file().
Report convert_stream(
    const std::filesystem::path& source, int descriptor, const Options& options = {}, const Progress& progress = {});

/// Converts the models that survey() finds in a folder and its subfolders into the same subfolders of `target`, which
/// may be `source`. A source that cannot be converted is reported in `failed`; the others are converted. A model with a
/// failed shard gets no index. A target that exists with the same tensors, bit for bit, counts as converted before, so
/// an interrupted run can be repeated; any other existing target is an error unless `force` is set. Throws only errors
/// of the whole run: an unreadable folder, Error{cancelled}, an error of the receipt.
Report convert_folder(const std::filesystem::path& source, const std::filesystem::path& target,
    const Options& options = {}, const Progress& progress = {});

/// Converts the files of a survey that was made before, with paths relative to `source`. Reports its other lists
/// unchanged. Otherwise as convert_folder().
Report convert_survey(Survey survey, const std::filesystem::path& source, const std::filesystem::path& target,
    const Options& options = {}, const Progress& progress = {});

/// Return the report of a conversion without writing anything. Sources are compared only with targets that exist.
Report dry_run_file(
    const std::filesystem::path& source, const std::filesystem::path& target, const Options& options = {});
Report dry_run_folder(
    const std::filesystem::path& source, const std::filesystem::path& target, const Options& options = {});
/// Does the same for files that are not on this machine. Targets are not looked for.
Report dry_run_survey(Survey survey, const OpenModel& open, const Options& options = {}, const Progress& progress = {});
Report dry_run_stream(
    const std::filesystem::path& source, const std::filesystem::path& name, const Options& options = {});

}  // namespace depickle::convert
