#include "depickle/sandbox/serve.h"

#include <algorithm>
#include <chrono>
#include <csignal>
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
    WireWriter wire;
    wire(Reply::progress, step.phase, step.file, step.done_bytes, step.total_bytes);
    if (!channel.send(wire.take())) throw Error(Code::cancelled, "", "stopped");
  };
}

class TaskRunner {
 public:
  TaskRunner(BrokeredFiles& files, Progress progress) : files_(files), progress_(std::move(progress)) {}

  void run(WireReader& task, WireWriter& result) {
    switch (task.value<Task>()) {
      case Task::convert_model: return run_convert(task, result);
      case Task::compare_models: return run_compare(task, result);
      case Task::scan_file: return result(engine_.scan_file(files_.open(0, "")));
      case Task::summarize: return result(engine_.summarize(model(0), task.value<weights::OpenOptions>()));
      case Task::check_model: return run_check(task, result);
    }
  }

 private:
  weights::Model model(uint64_t side) {
    return {files_.open(side, ""), [this, side](const std::string& name) { return files_.open(side, name); }};
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
    const auto threads = task.value<unsigned>();
    const auto file = task.value<std::string>();
    result(engine_.compare_models(model(0), model(1), {.threads = threads, .progress = progress_, .file = file}));
  }

  void run_check(WireReader& task, WireWriter& result) {
    const auto pair = task.value<repo::ModelPair>();
    const auto index_json = task.value<std::optional<std::string>>();
    const auto threads = task.value<unsigned>();
    std::optional<safetensors::Index> index;
    if (index_json) index = safetensors::Index::parse(*index_json);
    repo::Check check;
    repo::check_model(
        check, pair, index ? &*index : nullptr, [this](const std::string& path) { return files_.open(0, path); },
        [this](const std::string& path) { return files_.open(1, path); }, {.threads = threads, .progress = progress_});
    result(check);
  }

  BrokeredFiles& files_;
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
    return work();
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
  if (!tasks.receive(message)) return 2;
  WireReader task(message.payload);
  const auto limits = task.value<ResourceLimits>();
  BrokeredFiles files(std::move(request_channels));
  os::set_scratch_files([&files] { return files.scratch().release(); });
  const std::string last = last_message(limits, [&] {
    confine(limits);
    if (const auto first = before_task ? files.open(0, "") : nullptr) before_task(first_bytes(*first));
    WireWriter result;
    result(Reply::result);
    TaskRunner(files, progress_sender(tasks)).run(task, result);
    return result.take();
  });
  return tasks.send(last) ? 0 : 2;
}

}  // namespace depickle::sandbox
