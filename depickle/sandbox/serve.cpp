#include "depickle/sandbox/serve.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iterator>
#include <map>
#include <new>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/os/scratch_file.h"
#include "depickle/sandbox/brokered_files.h"
#include "depickle/sandbox/confine.h"

namespace depickle::sandbox {
namespace {

using Clock = std::chrono::steady_clock;

// Sends progress, at most 50 times a second within a phase.
Progress progress_sender(const Channel& channel) {
  return [&channel, last = Clock::time_point(), phase = std::string()](const Step& step) mutable {
    const Clock::time_point now = Clock::now();
    const bool is_change = step.phase != phase || step.done_bytes == step.total_bytes;
    if (!is_change && now - last < std::chrono::milliseconds(20)) return;
    last = now;
    phase = step.phase;
    const auto number = static_cast<uint8_t>(std::ranges::find(kPhases, step.phase) - std::begin(kPhases));
    WireWriter wire;
    wire(Reply::progress, ProgressReport{number, step.done_bytes, step.total_bytes});
    if (!channel.send(wire.take())) throw Error(Code::cancelled, "", "stopped");
  };
}

class TaskRunner {
 public:
  TaskRunner(BrokeredFiles& files, std::vector<SideNames> sides, Progress progress)
      : files_(files),
        sides_(std::move(sides)),
        progress_(std::move(progress)) {}

  void run(WireReader& task, WireWriter& result) {
    switch (task.value<Task>()) {
      case Task::convert_model: return run_convert(task, result);
      case Task::compare_models: return run_compare(task, result);
      case Task::scan_file: return result(engine_.scan_file(files_.open(0)));
      case Task::summarize: return run_summarize(task, result);
      case Task::check_model: return run_check(task, result);
    }
  }

 private:
  // Returns the number of the side's first file: the sides follow one another.
  uint64_t first_number(size_t side) const {
    uint64_t number = 0;
    for (size_t i = 0; i < side; ++i) number += sides_[i].names.size();
    return number;
  }

  weights::Model model(size_t side) {
    const uint64_t first = first_number(side);
    weights::Model model{.entry = files_.open(first)};
    if (!sides_[side].has_shards) return model;
    const std::vector<std::string>& names = sides_[side].names;
    model.shards.names.assign(names.begin() + 1, names.end());
    model.shards.open = [this, first](size_t number) { return files_.open(first + 1 + number); };
    return model;
  }

  repo::OpenFile opener(size_t side) {
    std::map<std::string, uint64_t> numbers;
    uint64_t number = first_number(side);
    for (const std::string& name : sides_[side].names) numbers.emplace(name, number++);
    return [this, numbers = std::move(numbers)](const std::string& path) { return files_.open(numbers.at(path)); };
  }

  void run_convert(WireReader& task, WireWriter& result) {
    auto options = task.value<convert::EngineOptions>();
    options.progress = progress_;
    std::unique_ptr<os::OutputFile> target;
    auto make_target = [&](uint64_t file_bytes) -> const os::OutputFile* {
      target = files_.target(file_bytes);
      return target.get();
    };
    result(engine_.convert_model(model(0), make_target, options));
  }

  void run_compare(WireReader& task, WireWriter& result) {
    auto options = task.value<convert::CompareModelsOptions>();
    options.progress = progress_;
    result(engine_.compare_models(model(0), model(1), options));
  }

  void run_summarize(WireReader& task, WireWriter& result) {
    auto options = task.value<convert::SummaryOptions>();
    options.progress = progress_;
    result(engine_.summarize(model(0), options));
  }

  void run_check(WireReader& task, WireWriter& result) {
    const auto pair = task.value<repo::ModelPair>();
    const auto index_json = task.value<std::optional<std::string>>();
    const auto threads = task.value<unsigned>();
    std::optional<safetensors::Index> index;
    if (index_json) index = safetensors::Index::parse(*index_json);
    repo::Check check;
    repo::check_model(
        check, pair, index ? &*index : nullptr, opener(0), opener(1), {.threads = threads, .progress = progress_});
    result(check);
  }

  BrokeredFiles& files_;
  const std::vector<SideNames> sides_;
  const Progress progress_;
  convert::Engine& engine_ = convert::local_engine();
};

std::string error_message(const Error& error) {
  WireWriter wire;
  wire(Reply::error, error);
  return wire.take();
}

// Returns the last message: the result of `work`, or its error.
std::string last_message(const ResourceLimits& limits, const std::function<std::string()>& work) {
  try {
    std::string result = work();
    if (result.size() <= kMaxMessageBytes) return result;
    return error_message(Error(Code::limit, "",
        fmt::format("the result of reading the file is larger than allowed (have {}, the limit is {})",
            human_bytes(result.size()), human_bytes(kMaxMessageBytes))));
  } catch (const Error& error) {
    return error_message(error);
  } catch (const std::bad_alloc&) {
    return error_message(Error(Code::limit, "",
        fmt::format("reading the file needs more memory than allowed (limit {})", human_bytes(limits.memory_bytes))));
  } catch (const std::exception& error) {
    return error_message(Error(Code::malformed, "", fmt::format("reading the file failed: {}", error.what())));
  }
}

std::string_view first_bytes(const ByteSource& file) {
  return text(file.view(0, std::min<uint64_t>(file.size_bytes(), 4096)));
}

}  // namespace

int serve(int channels, const std::function<void(std::string_view)>& before_task) {
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C also interrupts the parent, which then kills this process
  const Channel tasks{os::FileDescriptor(kFirstChannel)};
  std::vector<Channel> request_channels;
  for (int i = 1; i < channels; ++i) request_channels.emplace_back(os::FileDescriptor(kFirstChannel + i));
  Message message;
  if (tasks.receive(message) != Received::message) return 2;
  WireReader task(message.payload, Sender::parent);
  const auto limits = task.value<ResourceLimits>();
  auto sides = task.value<std::vector<SideNames>>();
  BrokeredFiles files(std::move(request_channels));
  os::share_scratch_file([&files] { return files.scratch().release(); });
  const std::string last = last_message(limits, [&] {
    confine(limits);
    if (const auto first = before_task ? files.open(0) : nullptr) before_task(first_bytes(*first));
    WireWriter result;
    result(Reply::result);
    TaskRunner(files, std::move(sides), progress_sender(tasks)).run(task, result);
    return result.take();
  });
  return tasks.send(last) ? 0 : 2;
}

}  // namespace depickle::sandbox
