#include "depickle/convert/convert.h"

#include <algorithm>
#include <chrono>
#include <set>

#include <fmt/format.h>

#include "depickle/base/sha256.h"
#include "depickle/base/text.h"
#include "depickle/convert/blocks.h"
#include "depickle/convert/names.h"
#include "depickle/convert/receipt.h"
#include "depickle/formats/safetensors/index.h"
#include "depickle/os/mapped_file.h"
#include "depickle/os/scratch_file.h"

namespace depickle::convert {
namespace {

namespace fs = std::filesystem;
using WeightMap = safetensors::Index::WeightMap;

Where at(const fs::path& file) { return Where::in(file.string()); }

Error target_exists_error(const fs::path& target) {
  return Error(Code::io, Reason::target_exists, "already exists with different content", at(target));
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A file of an unknown format only has the extension of weights, like the files of OpenVINO and Core ML. Known formats
// that are not weights, like a git-LFS pointer, are failures: the user expects a model there.
bool is_unknown_format(const Error& error) { return error.reason() == Reason::unknown_format; }

// One call of convert_file(), convert_folder() or a dry run.
class Converter {
 public:
  Converter(const Options& options, const Progress& progress, bool dry_run)
      : options_(options),
        progress_(progress),
        engine_(options.engine ? *options.engine : local_engine()),
        dry_run_(dry_run),
        if_exists_(options.force ? os::IfExists::replace : os::IfExists::refuse) {
    if (options.receipt && !dry_run) receipt_.emplace(*options.receipt, if_exists_);
  }

  Report run_file(const fs::path& source, const fs::path& target) {
    std::error_code ignored;
    fs::path target_file = target;
    if (fs::is_directory(target, ignored)) {
      const std::string name = source.filename().string();
      target_file = target / target_name(name).value_or(name + ".safetensors");
    }
    if (fs::equivalent(source, target_file, ignored))
      throw Error(Code::io, Reason::target_is_source, "source and target are the same file", at(source));
    convert_single({.source = source, .target = target_file, .name = source.filename().string()});
    return finish();
  }

  // Writes the target to an open descriptor; in a dry run, to none.
  Report run_stream(const fs::path& source, const fs::path& name, int descriptor) {
    convert_single({.source = source,
        .target = name,
        .name = source.filename().string(),
        .is_stream = true,
        .stream = descriptor});
    return finish();
  }

  Report run_folder(const fs::path& source, const fs::path& target) {
    Survey survey = survey_folder(source, target, options_.force);
    report_.up_to_date = std::move(survey.up_to_date);
    report_.skipped = std::move(survey.skipped);
    report_.failed = std::move(survey.failed);
    for (const ModelFiles& model : survey.models) convert_model_files(model, source, target);
    return finish();
  }

 private:
  // One file to convert.
  struct Task {
    fs::path source;
    fs::path target;
    std::string name;                 // in progress and reports
    bool is_stream = false;           // the target is a descriptor, not a file
    int stream = -1;                  // that descriptor
    bool in_folder = false;           // an identical target is up to date, not an error
    WeightMap* weight_map = nullptr;  // gets the target's tensors, if not nullptr
  };

  // Converts a model's files; then, if all succeeded, writes its index.
  void convert_model_files(const ModelFiles& model, const fs::path& source, const fs::path& target) {
    WeightMap weight_map;
    const size_t failed_before = report_.failed.size(), unchanged_before = count_unchanged();
    uint64_t total_bytes = 0;
    for (const ModelFiles::File& file : model.files) {
      total_bytes += convert_in_folder(file, source, target, weight_map);
      if (report_.failed.size() > failed_before && model.index) return;
    }
    if (!model.index) return;
    if (count_unchanged() - unchanged_before == model.files.size() && weight_map.empty())
      return;  // the shards are safetensors files with other extensions
    try {
      write_index(model, source, target, std::move(weight_map), total_bytes);
    } catch (const Error& error) {
      fail(model.source_index, error);
    }
  }

  size_t count_unchanged() const { return report_.up_to_date.size() + report_.skipped.size(); }

  // Returns the size of the tensors in the target; 0 if the file was not converted.
  uint64_t convert_in_folder(
      const ModelFiles::File& file, const fs::path& source, const fs::path& target, WeightMap& weight_map) {
    try {
      return convert_single({.source = source / file.source,
          .target = target / file.target,
          .name = file.source.string(),
          .in_folder = true,
          .weight_map = &weight_map});
    } catch (const Error& error) {
      if (is_unknown_format(error)) {
        report_.skipped.push_back({file.source, error.message()});
      } else {
        fail(file.source, error);
      }
      return 0;
    }
  }

  void fail(const fs::path& file, const Error& error) {
    if (error.code() == Code::cancelled) throw error;
    report_.failed.push_back({file, error});
  }

  // Returns the size of the tensors in the target; 0 if the source is a safetensors file.
  uint64_t convert_single(const Task& task) {
    const auto start = std::chrono::steady_clock::now();
    const weights::Model source = weights::find_model(task.source);
    std::error_code ignored;
    const bool target_exists = !options_.force && !task.is_stream && fs::exists(task.target, ignored);
    std::optional<os::AtomicFile> file;
    std::optional<os::OutputFile> streamed;
    auto make_target = [&](uint64_t file_bytes) -> const os::OutputFile* {
      if (dry_run_ || (task.in_folder && target_exists)) return nullptr;
      if (task.is_stream) return &streamed.emplace(temporary_file(file_bytes));
      // If this fails, AtomicFile throws the error.
      if (task.in_folder) fs::create_directories(task.target.parent_path(), ignored);
      return &file.emplace(task.target, file_bytes, if_exists_);
    };
    std::optional<FileReport> report = engine_.convert_model(source, make_target,
        {.plan = options_.plan,
            .open = options_.open,
            .checksums = options_.checksums,
            .digests = receipt_.has_value(),
            .durable = task.is_stream ? os::Durable::no : options_.durable,
            .threads = options_.threads,
            .progress = progress_,
            .file = task.name});
    if (!report) {
      report_.up_to_date.push_back({task.name, "is already safetensors"});
      return 0;
    }
    if (target_exists && task.in_folder) return compare_with_target(source, task);
    if (target_exists && dry_run_) throw target_exists_error(task.target);
    if (file) file->commit(options_.durable);
    if (streamed) copy(*streamed, task);
    report->seconds = seconds_since(start);
    return add_report(std::move(*report), task);
  }

  static os::OutputFile temporary_file(uint64_t size_bytes) {
    os::OutputFile file(os::FileDescriptor(os::open_scratch_file()), "a temporary file");
    file.allocate(size_bytes);
    return file;
  }

  // Writes the file to the task's stream.
  void copy(const os::OutputFile& file, const Task& task) const {
    constexpr uint64_t kStepBytes = 1 << 20;
    const auto written = file.read_back();
    ProgressMeter meter(progress_, "copy", task.name, written->size_bytes());
    for (uint64_t at = 0; at < written->size_bytes(); at += kStepBytes) {
      const Bytes step = written->view(at, std::min(kStepBytes, written->size_bytes() - at));
      os::write_all(task.stream, step, task.target.string());
      meter.add(step.size());
    }
  }

  uint64_t add_report(FileReport report, const Task& task) {
    report.source = task.source;
    report.target = task.target;
    add_to_weight_map(task, report.contents);
    for (const Tied& tied : report.tied) dropped_.insert(tied.name);
    if (receipt_) receipt_->add(report, options_.open.root.empty() ? report.root : options_.open.root);
    report_.files.push_back(std::move(report));
    return report_.files.back().tensor_bytes;
  }

  // Throws if the existing target differs from the source.
  uint64_t compare_with_target(const weights::Model& source, const Task& task) {
    const weights::Model existing = weights::find_model(task.target);
    const Comparison comparison = engine_.compare_models(source, existing,
        {.open_a = options_.open, .threads = options_.threads, .progress = progress_, .file = task.name});
    if (!comparison.is_identical()) throw target_exists_error(task.target);
    const TableSummary table = engine_.summarize(existing, {});
    add_to_weight_map(task, table.tensors);
    for (const Tied& tied : comparison.tied) dropped_.insert(tied.name);
    report_.up_to_date.push_back({task.name,
        fmt::format("{} already exists with identical tensors", printable(task.target.filename().string()))});
    uint64_t total_bytes = 0;
    for (const DigestedTensor& tensor : table.tensors) total_bytes += tensor.size_bytes;
    return total_bytes;
  }

  static void add_to_weight_map(const Task& task, const std::vector<DigestedTensor>& tensors) {
    if (!task.weight_map) return;
    for (const DigestedTensor& tensor : tensors)
      task.weight_map->emplace_back(tensor.name, task.target.filename().string());
  }

  void write_index(const ModelFiles& model, const fs::path& source, const fs::path& target, WeightMap weight_map,
      uint64_t total_bytes) {
    IndexReport report{.source = source / model.source_index,
        .target = target / model.target_index,
        .total_bytes = total_bytes,
        .notes = {}};
    const safetensors::Index index =
        safetensors::Index::of(std::move(weight_map), total_bytes, model.index->metadata());
    note_missing(*model.index, index, report);
    report_.indexes.push_back(report);
    if (dry_run_) return;
    const std::string json = index.to_json();
    std::error_code ignored;
    if (!options_.force && fs::exists(report.target, ignored)) {
      if (text(os::MappedFile::open(report.target)->all()) != json) throw target_exists_error(report.target);
    } else {
      os::write_atomically(report.target, json, if_exists_, options_.durable);
    }
    index_files_.push_back({report.target, json.size(), sha256_hex(bytes(json))});
  }

  // Adds a note for names that only the source's index contains, unless they were dropped as tied names.
  void note_missing(const safetensors::Index& before, const safetensors::Index& after, IndexReport& report) const {
    uint64_t missing = 0;
    std::string first;
    for (const auto& [tensor, shard] : before.weight_map()) {
      if (after.find(tensor) || dropped_.contains(tensor)) continue;
      if (missing++ == 0) first = tensor;
    }
    if (missing > 0)
      report.notes.push_back(fmt::format("{} listed in the old index but found in no shard: {}{}",
          plural(missing, "tensor"), quoted(first), missing > 1 ? " …" : ""));
  }

  Report finish() {
    if (receipt_ && !report_.files.empty()) receipt_->commit(index_files_, options_.durable);
    return std::move(report_);
  }

  const Options& options_;
  const Progress progress_;
  Engine& engine_;
  const bool dry_run_;
  const os::IfExists if_exists_;
  std::optional<ReceiptWriter> receipt_;
  std::vector<DigestedFile> index_files_;
  std::set<std::string> dropped_;  // tied names that were not stored
  Report report_;
};

}  // namespace

Report convert_file(const fs::path& source, const fs::path& target, const Options& options, const Progress& progress) {
  return Converter(options, progress, false).run_file(source, target);
}
Report convert_folder(
    const fs::path& source, const fs::path& target, const Options& options, const Progress& progress) {
  return Converter(options, progress, false).run_folder(source, target);
}
Report convert_stream(const fs::path& source, int descriptor, const Options& options, const Progress& progress) {
  Options without_receipt = options;
  without_receipt.receipt.reset();
  return Converter(without_receipt, progress, false).run_stream(source, "stdout", descriptor);
}
Report dry_run_stream(const fs::path& source, const fs::path& name, const Options& options) {
  return Converter(options, {}, true).run_stream(source, name, -1);
}
Report dry_run_file(const fs::path& source, const fs::path& target, const Options& options) {
  return Converter(options, {}, true).run_file(source, target);
}
Report dry_run_folder(const fs::path& source, const fs::path& target, const Options& options) {
  return Converter(options, {}, true).run_folder(source, target);
}

}  // namespace depickle::convert
