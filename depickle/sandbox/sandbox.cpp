#include "depickle/sandbox/sandbox.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/sandbox/file_broker.h"
#include "depickle/sandbox/limits.h"
#include "depickle/sandbox/worker_process.h"

namespace depickle::sandbox {

// A task, and what it may use.
struct Sandbox::Job {
  std::string task;
  std::vector<FileList> sides;
  convert::MakeTarget make_target = {};
  Progress progress = {};
  std::string file = {};  // in progress reports
};

namespace {

using Clock = std::chrono::steady_clock;

// The worker closed its channel without a result.
struct WorkerDied {};

FileList list_of(const std::shared_ptr<const ByteSource>& file) {
  const uint64_t size_bytes = file->size_bytes();
  return {.files = {.names = {""}}, .size_bytes = size_bytes, .open = [file](size_t) { return file; }};
}

FileList list_of(const weights::Model& model) {
  FileList list = list_of(model.entry);
  if (!model.shards.open) return list;
  list.files.has_shards = true;
  list.files.names.insert(list.files.names.end(), model.shards.names.begin(), model.shards.names.end());
  list.size_bytes += model.shards.size_bytes;
  list.open = [&model](size_t number) { return number == 0 ? model.entry : model.shards.open(number - 1); };
  return list;
}

// Opens the files before the worker starts, because their sizes are not known otherwise.
FileList list_of(const std::vector<std::string>& paths, const repo::OpenFile& open) {
  std::vector<std::shared_ptr<const ByteSource>> files;
  FileList list{.files = {.names = paths}};
  for (const std::string& path : paths) {
    files.push_back(open(path));
    if (files.back()) list.size_bytes += files.back()->size_bytes();
  }
  list.open = [files = std::move(files)](size_t number) { return files[number]; };
  return list;
}

// The files that a worker opened. It may report no others: their names go into a receipt or are printed.
class OpenedFiles {
 public:
  // Wraps `list` so that the files it opens are recorded.
  FileList record(FileList list) {
    list.open = [this, open = std::move(list.open)](size_t number) {
      auto file = open(number);
      std::scoped_lock lock(mutex_);
      if (file) size_of_.insert_or_assign(file->name(), file->size_bytes());
      return file;
    };
    return list;
  }
  void check(const std::vector<convert::DigestedFile>& reported) const {
    for (const convert::DigestedFile& file : reported) check(file.path.native(), file.size_bytes);
  }
  void check(const std::vector<std::string>& reported) const {
    for (const std::string& name : reported) check(name, std::nullopt);
  }

 private:
  void check(const std::string& name, std::optional<uint64_t> size_bytes) const {
    const auto found = size_of_.find(name);
    if (found == size_of_.end() || (size_bytes && found->second != *size_bytes))
      throw Error(Code::malformed, "", "the sandboxed process reported a file that it has not opened");
  }

  std::mutex mutex_;
  std::map<std::string, uint64_t> size_of_;
};

// Returns the encoded result if the message contains one. Throws the error that the message contains. Reports progress.
std::optional<std::string> result_in(const std::string& message, const Progress& progress, std::string_view file) {
  WireReader wire(message);
  switch (wire.value<Reply>()) {
    case Reply::result: return message.substr(sizeof(Reply));
    case Reply::error: throw wire.error();
    case Reply::progress: {
      const auto report = wire.last<ProgressReport>();
      if (report.phase >= std::size(kPhases))
        throw Error(Code::malformed, "", "the sandboxed process sent an invalid progress report");
      if (progress)
        progress({kPhases[report.phase], file, std::min(report.done_bytes, report.total_bytes), report.total_bytes});
    }
  }
  return std::nullopt;
}

}  // namespace

std::string Sandbox::await_result(const Channel& channel, const Job& job) const {
  const Clock::time_point start = Clock::now();
  const auto check = [&] {
    if (options_.check_cancelled) options_.check_cancelled();
    if (options_.max_seconds > 0 && Clock::now() - start > std::chrono::duration<double>(options_.max_seconds))
      throw Error(Code::limit, "",
          fmt::format("reading the file took longer than allowed (limit {:.1f} s)", options_.max_seconds));
  };
  Message message;
  while (true) {
    switch (channel.receive(message, {.check = check})) {
      case Received::closed: throw WorkerDied{};
      case Received::too_large:
        throw Error(Code::limit, "",
            fmt::format(
                "the result of reading the file is larger than allowed (limit {})", human_bytes(kMaxMessageBytes)));
      case Received::message:
        if (std::optional<std::string> result = result_in(message.payload, job.progress, job.file))
          return std::move(*result);
    }
  }
}

std::string Sandbox::run(Job job) {
  uint64_t input_bytes = 0;
  WireWriter message;
  std::vector<SideNames> names;
  for (const FileList& side : job.sides) {
    names.push_back(side.files);
    input_bytes += side.size_bytes;
  }
  const ResourceLimits limits = limits_for(options_.limits, input_bytes);
  message(limits, names);
  WorkerProcess process(options_);
  FileBroker broker(process.take_request_channels(),
      {.sides = std::move(job.sides), .make_target = job.make_target, .max_file_bytes = limits.file_bytes},
      [&process] { process.tasks().shut_down(); });
  try {
    if (!process.tasks().send(message.take() + job.task)) throw WorkerDied{};
    std::string result = await_result(process.tasks(), job);
    process.kill();
    broker.finish();
    return result;
  } catch (const WorkerDied&) {
    ++failures_;
    if (const auto violation = broker.violation()) {
      process.kill();
      throw *violation;
    }
    throw process.death(limits);
  } catch (...) {
    process.kill();
    throw;
  }
}

std::optional<convert::FileReport> Sandbox::convert_model(
    const weights::Model& source, const convert::MakeTarget& make_target, const convert::EngineOptions& options) {
  WireWriter task;
  task(Task::convert_model, options);
  OpenedFiles opened;
  try {
    const std::string result = run({.task = task.take(),
        .sides = {opened.record(list_of(source))},
        .make_target = make_target,
        .progress = options.progress,
        .file = options.file});
    auto report = WireReader(result).last<ResultOf<Task::convert_model>>();
    if (report) opened.check(report->digested_sources);
    return report;
  } catch (const Error& error) {
    throw error.in(source.entry->name());
  }
}

convert::Comparison Sandbox::compare_models(
    const weights::Model& a, const weights::Model& b, const convert::CompareModelsOptions& options) {
  WireWriter task;
  task(Task::compare_models, options);
  const std::string result =
      run({.task = task.take(), .sides = {list_of(a), list_of(b)}, .progress = options.progress, .file = options.file});
  return WireReader(result).last<ResultOf<Task::compare_models>>();
}

scan::Scan Sandbox::scan_file(std::shared_ptr<const ByteSource> file) {
  WireWriter task;
  task(Task::scan_file);
  try {
    const std::string result = run({.task = task.take(), .sides = {list_of(file)}});
    return WireReader(result).last<ResultOf<Task::scan_file>>();
  } catch (const Error& error) {
    throw error.in(file->name());
  }
}

convert::TableSummary Sandbox::summarize(const weights::Model& model, const convert::SummaryOptions& options) {
  WireWriter task;
  task(Task::summarize, options);
  try {
    OpenedFiles opened;
    const std::string result = run({.task = task.take(),
        .sides = {opened.record(list_of(model))},
        .progress = options.progress,
        .file = options.file});
    auto summary = WireReader(result).last<ResultOf<Task::summarize>>();
    opened.check(summary.files);
    if (summary.layouts.size() != (options.layouts ? summary.tensors.size() : 0))
      throw Error(Code::malformed, "", "the sandboxed process sent an incomplete table");
    return summary;
  } catch (const Error& error) {
    throw error.in(model.entry->name());
  }
}

void Sandbox::check_model(repo::Check& check, const repo::ModelPair& pair, const safetensors::Index* index,
    const repo::OpenFile& open_before, const repo::OpenFile& open_after, const repo::CheckOptions& options) {
  std::optional<std::string> index_json;
  if (index) index_json = index->to_json();
  WireWriter task;
  task(Task::check_model, pair, index_json, options.threads);
  const std::string result = run({.task = task.take(),
      .sides = {list_of(pair.pickle.shards, open_before), list_of(pair.safetensors.shards, open_after)},
      .progress = options.progress,
      .file = pair.safetensors.entry});
  auto found = WireReader(result).last<ResultOf<Task::check_model>>();
  auto append = [](auto& to, auto& more) {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  append(check.tensors, found.tensors);
  append(check.notes, found.notes);
  check.compared += found.compared;
  check.identical += found.identical;
  check.compared_bytes += found.compared_bytes;
}

}  // namespace depickle::sandbox
