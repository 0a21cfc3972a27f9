#include "depickle/convert/convert.h"

#include <algorithm>
#include <chrono>
#include <set>

#include <fmt/format.h>

#include "depickle/base/sha256.h"
#include "depickle/base/text.h"
#include "depickle/convert/names.h"
#include "depickle/convert/receipt.h"
#include "depickle/formats/safetensors/index.h"
#include "depickle/os/mapped_file.h"

namespace depickle::convert {
namespace {

namespace fs = std::filesystem;
using WeightMap = safetensors::Index::WeightMap;

Where at(const fs::path& file) { return Where::in(file.string()); }

Error exists_already(const fs::path& target) {
  return Error(Code::io, Reason::target_exists, "already exists with different content", at(target));
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A file of no known format has only its ending in common with weights, as those of OpenVINO and Core ML do. What is known to be
// something else, like a git-LFS pointer, is a model that somebody has yet to fetch.
bool is_unknown_content(const Error& error) { return error.reason() == Reason::unknown_format; }

// One run: what was asked for, and what came of it.
class Run {
 public:
  Run(const Options& options, const Progress& progress, bool only_plan)
      : options_(options),
        progress_(progress),
        engine_(options.engine ? *options.engine : local_engine()),
        only_plan_(only_plan) {
    if (options.receipt && !only_plan)
      receipt_.emplace(*options.receipt, options.force ? os::IfExists::replace : os::IfExists::refuse);
  }

  Report file(const fs::path& source, const fs::path& target) {
    std::error_code ignored;
    fs::path whole = target;
    if (fs::is_directory(target, ignored)) {
      const std::string name = source.filename().string();
      whole = target / target_name(name).value_or(name + ".safetensors");
    }
    if (fs::equivalent(source, whole, ignored))
      throw Error(Code::io, Reason::target_is_source, "source and target are the same file", at(source));
    convert(source, whole, source.filename().string(), false, nullptr);
    return finish();
  }

  Report folder(const fs::path& source, const fs::path& target) {
    Survey survey = convert::survey(source, target, options_.force);
    report_.already = std::move(survey.already);
    report_.left = std::move(survey.left);
    report_.failed = std::move(survey.failed);
    for (const Job& job : survey.jobs) run_job(job, source, target);
    return finish();
  }

 private:
  // The files of a job; then, if all of them went well, its index.
  void run_job(const Job& job, const fs::path& source, const fs::path& target) {
    WeightMap weight_map;
    const size_t failed_before = report_.failed.size(), already_before = report_.already.size() + report_.left.size();
    uint64_t total_bytes = 0;
    for (const Job::File& file : job.files) {
      total_bytes += in_folder(file, source, target, &weight_map);
      if (report_.failed.size() > failed_before && job.index) return;
    }
    if (!job.index) return;
    if (report_.left.size() + report_.already.size() - already_before == job.files.size() && weight_map.empty())
      return;  // safetensors by another name
    try {
      write_index(job, source, target, std::move(weight_map), total_bytes);
    } catch (const Error& error) {
      fail(job.source_index, error);
    }
  }

  // The bytes of the tensors in the target; 0 where there is none.
  uint64_t in_folder(const Job::File& file, const fs::path& source, const fs::path& target, WeightMap* weight_map) {
    try {
      return convert(source / file.source, target / file.target, file.source.string(), true, weight_map);
    } catch (const Error& error) {
      if (is_unknown_content(error)) return report_.left.push_back({file.source, error.message()}), 0;
      return fail(file.source, error), 0;
    }
  }

  void fail(const fs::path& file, const Error& error) {
    if (error.code() == Code::cancelled) throw error;
    report_.failed.push_back({file, error});
  }

  uint64_t convert(
      const fs::path& path, const fs::path& target, const std::string& shown, bool in_folder, WeightMap* weight_map) {
    const auto start = std::chrono::steady_clock::now();
    const weights::Model source = weights::find_model(path);
    std::error_code ignored;
    const bool is_there = !options_.force && fs::exists(target, ignored);
    std::optional<os::AtomicFile> file;
    auto make_target = [&](uint64_t file_bytes) -> const os::OutputFile* {
      if (only_plan_ || (in_folder && is_there)) return nullptr;
      if (in_folder) fs::create_directories(target.parent_path(), ignored);  // where it fails, AtomicFile says why
      return &file.emplace(target, file_bytes, options_.force ? os::IfExists::replace : os::IfExists::refuse);
    };
    std::optional<FileReport> report = engine_.convert(source, make_target,
        {.plan = options_.plan,
            .open = options_.open,
            .checksums = options_.checksums,
            .digests = receipt_.has_value(),
            .durable = options_.durable,
            .threads = options_.threads,
            .progress = progress_,
            .file = shown});
    if (!report) return report_.already.push_back({shown, "is safetensors already"}), 0;
    if (is_there && in_folder) return converted_before(source, target, shown, weight_map);
    if (is_there && only_plan_) throw exists_already(target);
    if (file) file->commit(options_.durable);
    report->source = path;
    report->target = target;
    report->seconds = seconds_since(start);
    if (weight_map)
      for (const DigestedTensor& tensor : report->contents)
        weight_map->emplace_back(tensor.name, target.filename().string());
    for (const Tied& tied : report->tied) dropped_.insert(tied.name);
    if (receipt_) receipt_->add(*report, options_.open.root.empty() ? report->root : options_.open.root);
    report_.files.push_back(std::move(*report));
    return report_.files.back().tensor_bytes;
  }

  // The target is there: it holds the same, or is somebody else's.
  uint64_t converted_before(
      const weights::Model& source, const fs::path& target, const std::string& shown, WeightMap* weight_map) {
    const weights::Model there = weights::find_model(target);
    const Comparison comparison =
        engine_.compare(source, there, {.threads = options_.threads, .progress = progress_, .file = shown});
    if (!comparison.same()) throw exists_already(target);
    uint64_t total_bytes = 0;
    for (const DigestedTensor& tensor : engine_.summarize(there, {}).tensors) {
      if (weight_map) weight_map->emplace_back(tensor.name, target.filename().string());
      total_bytes += tensor.size_bytes;
    }
    for (const Tied& tied : comparison.tied) dropped_.insert(tied.name);
    report_.already.push_back(
        {shown, fmt::format("{} already exists with identical tensors", printable(target.filename().string()))});
    return total_bytes;
  }

  void write_index(
      const Job& job, const fs::path& source, const fs::path& target, WeightMap weight_map, uint64_t total_bytes) {
    IndexReport report{.source = source / job.source_index,
        .target = target / job.target_index,
        .total_bytes = total_bytes,
        .notes = {}};
    const safetensors::Index index = safetensors::Index::of(std::move(weight_map), total_bytes, job.index->metadata());
    note_missing(*job.index, index, report);
    report_.indexes.push_back(report);
    if (only_plan_) return;
    const std::string json = index.to_json();
    std::error_code ignored;
    if (!options_.force && fs::exists(report.target, ignored)) {
      if (text(os::MappedFile::open(report.target)->all()) != json) throw exists_already(report.target);
    } else {
      os::write_atomically(
          report.target, json, options_.force ? os::IfExists::replace : os::IfExists::refuse, options_.durable);
    }
    index_files_.push_back({report.target, json.size(), sha256_hex(bytes(json))});
  }

  // Names that the source's index has and the new one has not: dropped as tied, or never there.
  void note_missing(const safetensors::Index& before, const safetensors::Index& after, IndexReport& report) const {
    uint64_t missing = 0;
    std::string first;
    for (const auto& [tensor, shard] : before.weight_map()) {
      if (after.find(tensor) || dropped_.contains(tensor)) continue;
      if (missing++ == 0) first = tensor;
    }
    if (missing > 0)
      report.notes.push_back(fmt::format(
          "{} of the old index in no shard: {}{}", plural(missing, "tensor"), quoted(first), missing > 1 ? " …" : ""));
  }

  Report finish() {
    if (receipt_ && !report_.files.empty()) receipt_->commit(index_files_, options_.durable);
    return std::move(report_);
  }

  const Options& options_;
  const Progress progress_;
  Engine& engine_;
  const bool only_plan_;
  std::optional<ReceiptWriter> receipt_;
  std::vector<DigestedFile> index_files_;
  std::set<std::string> dropped_;  // names stored as another
  Report report_;
};

}  // namespace

Report convert_file(const fs::path& source, const fs::path& target, const Options& options, const Progress& progress) {
  return Run(options, progress, false).file(source, target);
}
Report convert_folder(
    const fs::path& source, const fs::path& target, const Options& options, const Progress& progress) {
  return Run(options, progress, false).folder(source, target);
}
Report plan_file(const fs::path& source, const fs::path& target, const Options& options) {
  return Run(options, {}, true).file(source, target);
}
Report plan_folder(const fs::path& source, const fs::path& target, const Options& options) {
  return Run(options, {}, true).folder(source, target);
}

}  // namespace depickle::convert
