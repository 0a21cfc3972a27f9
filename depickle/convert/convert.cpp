#include "depickle/convert/convert.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
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
  return Error(Code::io, Reason::target_exists, "already exists with different content", at(target)).with_errno(EEXIST);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Returns whether a file of a folder is skipped after this error, because it is not a model: an image, a vocabulary or
// metrics under the name of a checkpoint. A file that model libraries load must be converted, and so must a download
// that failed, such as a git-LFS pointer: the user expects a model there.
bool is_not_a_model(const Error& error, ModelFiles::Name name) {
  if (name == ModelFiles::Name::standard) return false;
  switch (error.reason()) {
    case Reason::unknown_format:
    case Reason::other_format:
    case Reason::no_tensors: return true;
    default: break;
  }
  return name == ModelFiles::Name::content && error.code() != Code::io && error.code() != Code::cancelled;
}

// One call of convert_file(), convert_folder() or a dry run.
class Converter {
 public:
  Converter(const Options& options, const Progress& progress, bool dry_run, OpenModel open = {})
      : options_(options),
        progress_(progress),
        engine_(options.engine ? *options.engine : local_engine()),
        dry_run_(dry_run),
        is_remote_(open != nullptr),
        open_(open ? std::move(open) : [](const fs::path& path) { return weights::find_model(path); }),
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
    const EqualTables equal_tables = [&](const std::vector<std::string>& pickles, const std::string& safetensors) {
      return has_equal_tables(
          engine_, [&](const fs::path& file) { return open_(source / file); }, pickles, safetensors);
    };
    return run_survey(survey_folder(source, target, options_.force, equal_tables), source, target);
  }

  Report run_survey(Survey survey, const fs::path& source, const fs::path& target) {
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
    bool in_folder = false;           // the target's folder is created
    WeightMap* weight_map = nullptr;  // gets the target's tensors, if not nullptr
    std::vector<std::string> notes = {};
  };

  // Converts a model's files; then, if all succeeded, writes its index.
  void convert_model_files(const ModelFiles& model, const fs::path& source, const fs::path& target) {
    if (model.is_sharded()) {
      if (!check_shards(model, source)) return;
    }
    WeightMap weight_map;
    const size_t failed_before = report_.failed.size(), unchanged_before = count_unchanged();
    uint64_t total_bytes = 0;
    for (const ModelFiles::File& file : model.files) {
      total_bytes += convert_in_folder(model, file, source, target, weight_map);
      if (report_.failed.size() > failed_before && model.is_sharded()) return;
    }
    if (!model.is_sharded()) return;
    if (count_unchanged() - unchanged_before == model.files.size() && weight_map.empty())
      return;  // the shards are safetensors files with other extensions
    try {
      write_index(model, source, target, std::move(weight_map), total_bytes);
    } catch (const Error& error) {
      fail(model.main_source(), error);
    }
  }

  // Reads the tables of all shards before one of them is converted. Returns false and reports a failure if one cannot
  // be read, or if a tensor is in two of them: loaders would disagree about which one counts.
  bool check_shards(const ModelFiles& model, const fs::path& source) {
    std::map<std::string, std::string> shard_of;
    for (const ModelFiles::File& file : model.files) {
      TableSummary table;
      try {
        table = engine_.summarize(open_(source / file.source), {.open = options_.open});
      } catch (const Error& error) {
        return fail(file.source, error), false;
      }
      const std::string shard = file.source.filename().string();
      for (const DigestedTensor& tensor : table.tensors) {
        const auto [there, is_new] = shard_of.try_emplace(tensor.name, shard);
        if (is_new) continue;
        fail(model.main_source(),
            Error(Code::unsupported, "",
                fmt::format("{} and {} both contain it", printable(there->second), printable(shard)),
                {.file = model.main_source().string(), .tensor = tensor.name, .offset_bytes = {}}));
        return false;
      }
    }
    return true;
  }

  size_t count_unchanged() const { return report_.up_to_date.size() + report_.skipped.size(); }

  // Returns the size of the tensors in the target; 0 if the file was not converted.
  uint64_t convert_in_folder(const ModelFiles& model, const ModelFiles::File& file, const fs::path& source,
      const fs::path& target, WeightMap& weight_map) {
    std::error_code ignored;
    if (file.source == file.target && fs::equivalent(source, target, ignored)) {
      report_.skipped.push_back(
          {file.source, fmt::format("{}; it can only be converted into another folder", model.notes.front())});
      return 0;
    }
    try {
      return convert_single({.source = source / file.source,
          .target = target / file.target,
          .name = file.source.string(),
          .in_folder = true,
          .weight_map = &weight_map,
          .notes = model.is_sharded() ? std::vector<std::string>() : model.notes});
    } catch (const Error& error) {
      if (is_not_a_model(error, model.name)) {
        report_.skipped.push_back({file.source, error.message()});
      } else {
        fail(file.source, error);
      }
      return 0;
    }
  }

  void fail(const fs::path& file, const Error& error) {
    if (error.code() == Code::cancelled || error.code() == Code::network || error.code() == Code::denied) throw error;
    report_.failed.push_back({file, error});
  }

  // Returns the size of the tensors in the target; 0 if the source is a safetensors file.
  uint64_t convert_single(const Task& task) {
    const auto start = std::chrono::steady_clock::now();
    const weights::Model source = open_(task.source);
    std::error_code ignored;
    const bool target_exists =
        !options_.force && !task.is_stream && !is_remote_ && fs::is_regular_file(task.target, ignored);
    std::optional<os::AtomicFile> file;
    std::optional<os::OutputFile> streamed;
    auto make_target = [&](uint64_t file_bytes) -> const os::OutputFile* {
      if (dry_run_ || target_exists) return nullptr;
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
    if (target_exists) return compare_with_target(source, task);
    if (dry_run_ && !options_.force && !task.is_stream && !is_remote_ && fs::exists(task.target, ignored))
      throw target_exists_error(task.target);
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
    report.notes.insert(report.notes.begin(), task.notes.begin(), task.notes.end());
    add_to_weight_map(task, report.contents);
    for (const Tied& tied : report.tied) dropped_.insert(tied.name);
    if (receipt_) receipt_->add(report, options_.open.root.empty() ? report.root : options_.open.root);
    report_.files.push_back(std::move(report));
    return report_.files.back().tensor_bytes;
  }

  // Throws if the existing target differs from the source.
  uint64_t compare_with_target(const weights::Model& source, const Task& task) {
    const weights::Model existing = weights::find_model(task.target);
    const TableSummary table = summarize_target(existing, task.target);
    const Comparison comparison = engine_.compare_models(source, existing,
        {.open_a = options_.open, .threads = options_.threads, .progress = progress_, .file = task.name});
    if (!comparison.is_identical()) throw target_exists_error(task.target);
    add_to_weight_map(task, table.tensors);
    for (const Tied& tied : comparison.tied) dropped_.insert(tied.name);
    report_.up_to_date.push_back({task.name,
        fmt::format("{} already exists with identical tensors", printable(task.target.filename().string()))});
    uint64_t total_bytes = 0;
    for (const DigestedTensor& tensor : table.tensors) total_bytes += tensor.size_bytes;
    return total_bytes;
  }

  // Throws if the existing target is not a safetensors file.
  TableSummary summarize_target(const weights::Model& existing, const fs::path& target) {
    try {
      TableSummary table = engine_.summarize(existing, {});
      if (table.is_safetensors) return table;
    } catch (const Error& error) {
      if (error.code() != Code::malformed && error.code() != Code::truncated && error.code() != Code::unsupported &&
          error.code() != Code::limit)
        throw;
    }
    throw target_exists_error(target);
  }

  static void add_to_weight_map(const Task& task, const std::vector<DigestedTensor>& tensors) {
    if (!task.weight_map) return;
    for (const DigestedTensor& tensor : tensors)
      task.weight_map->emplace_back(tensor.name, task.target.filename().string());
  }

  void write_index(const ModelFiles& model, const fs::path& source, const fs::path& target, WeightMap weight_map,
      uint64_t total_bytes) {
    IndexReport report{.source = source / model.main_source(),
        .target = target / model.target_index,
        .total_bytes = total_bytes,
        .notes = model.notes};
    if (model.replaces_index)
      report.notes.push_back(fmt::format(
          "replaces {}, which named files that do not exist", printable(model.target_index.filename().string())));
    const safetensors::Index index = safetensors::Index::of(
        std::move(weight_map), total_bytes, model.index ? model.index->metadata() : safetensors::Index::Metadata());
    if (model.index) note_differences(*model.index, index, report);
    report_.indexes.push_back(report);
    if (dry_run_) return;
    const std::string json = index.to_json();
    std::error_code ignored;
    const os::IfExists if_exists = model.replaces_index ? os::IfExists::replace : if_exists_;
    if (if_exists == os::IfExists::refuse && fs::exists(report.target, ignored)) {
      if (text(os::MappedFile::open(report.target)->all()) != json) throw target_exists_error(report.target);
    } else {
      os::write_atomically(report.target, json, if_exists, options_.durable);
    }
    index_files_.push_back({report.target, json.size(), sha256_hex(bytes(json))});
  }

  // Adds notes about tensors that the source's index lists in no shard or in another one, or does not list. A name that
  // was dropped as tied is in its shard.
  void note_differences(const safetensors::Index& before, const safetensors::Index& after, IndexReport& report) const {
    std::vector<std::string_view> missing, moved, unlisted;
    for (const auto& [tensor, shard] : before.weight_map()) {
      const std::string* now = after.find(tensor);
      if (!now && !dropped_.contains(tensor)) missing.push_back(tensor);
      if (now && *now != target_name(shard)) moved.push_back(tensor);
    }
    for (const auto& [tensor, shard] : after.weight_map())
      if (!before.find(tensor)) unlisted.push_back(tensor);
    auto note = [&](const std::vector<std::string_view>& names, std::string_view what) {
      if (names.empty()) return;
      report.notes.push_back(fmt::format(
          "{} {}: {}{}", plural(names.size(), "tensor"), what, quoted(names.front()), names.size() > 1 ? " …" : ""));
    };
    note(missing, "listed in the old index but found in no shard");
    note(moved, "listed in the old index for another shard");
    note(unlisted, "not listed in the old index");
  }

  Report finish() {
    if (receipt_ && !report_.files.empty()) receipt_->commit(index_files_, options_.durable);
    return std::move(report_);
  }

  const Options& options_;
  const Progress progress_;
  Engine& engine_;
  const bool dry_run_;
  const bool is_remote_;  // sources and targets are not files of this machine
  const OpenModel open_;
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
Report convert_survey(
    Survey survey, const fs::path& source, const fs::path& target, const Options& options, const Progress& progress) {
  return Converter(options, progress, false).run_survey(std::move(survey), source, target);
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
Report dry_run_survey(Survey survey, const OpenModel& open, const Options& options, const Progress& progress) {
  return Converter(options, progress, true, open).run_survey(std::move(survey), {}, {});
}
Report dry_run_folder(const fs::path& source, const fs::path& target, const Options& options) {
  return Converter(options, {}, true).run_folder(source, target);
}

}  // namespace depickle::convert
