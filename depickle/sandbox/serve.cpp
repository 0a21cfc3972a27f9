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

// Sends what is done so far, not more often than people can read.
Progress reporter(const Channel& channel) {
  return [&channel, last = Clock::time_point(), phase = std::string()](const Step& step) mutable {
    const Clock::time_point now = Clock::now();
    const bool is_news = step.phase != phase || step.done_bytes == step.total_bytes;
    if (!is_news && now - last < std::chrono::milliseconds(20)) return;
    last = now;
    phase = step.phase;
    WireWriter wire;
    wire(Reply::progress, step.phase, step.file, step.done_bytes, step.total_bytes);
    if (!channel.send(wire.take())) throw Error(Code::cancelled, "", "stopped");
  };
}

class Worker {
 public:
  Worker(BrokeredFiles& files, Progress progress) : files_(files), progress_(std::move(progress)) {}

  void run(WireReader& order, WireWriter& result) {
    switch (order.value<Task>()) {
      case Task::convert: return convert(order, result);
      case Task::compare: return compare(order, result);
      case Task::scan: return result(engine_.scan(files_.open(0, "")));
      case Task::look: return result(engine_.summarize(model(0), order.value<weights::OpenOptions>()));
      case Task::check_model: return check_model(order, result);
    }
  }

 private:
  weights::Model model(uint64_t side) {
    return {files_.open(side, ""), [this, side](const std::string& name) { return files_.open(side, name); }};
  }

  void convert(WireReader& order, WireWriter& result) {
    auto options = order.value<convert::EngineOptions>();
    options.progress = progress_;
    std::unique_ptr<os::OutputFile> target;
    auto make_target = [&](uint64_t file_bytes) -> const os::OutputFile* {
      target = files_.target(file_bytes);
      return target.get();
    };
    result(engine_.convert(model(0), make_target, options));
  }

  void compare(WireReader& order, WireWriter& result) {
    const auto threads = order.value<unsigned>();
    const auto file = order.value<std::string>();
    result(engine_.compare(model(0), model(1), {.threads = threads, .progress = progress_, .file = file}));
  }

  void check_model(WireReader& order, WireWriter& result) {
    const auto pair = order.value<repo::ModelPair>();
    const auto index_json = order.value<std::optional<std::string>>();
    const auto threads = order.value<unsigned>();
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

std::string failure(const Error& error) {
  WireWriter wire;
  wire(Reply::error, error);
  return wire.take();
}

// The message with which the work ends.
std::string outcome(const Bounds& bounds, const std::function<std::string()>& work) {
  try {
    return work();
  } catch (const Error& error) {
    return failure(error);
  } catch (const std::bad_alloc&) {
    return failure(Error(Code::limit, "",
        fmt::format("reading it takes more memory than it may ({})", human_bytes(bounds.memory_bytes))));
  } catch (const std::exception& error) {
    return failure(Error(Code::malformed, "", fmt::format("reading it failed: {}", error.what())));
  }
}

std::string_view first_bytes(const ByteSource& file) {
  return text(file.view(0, std::min<uint64_t>(file.size_bytes(), 4096)));
}

}  // namespace

int serve(int channels, const std::function<void(std::string_view)>& before_work) {
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C is for who started us, and ends us then
  const Channel orders{Descriptor(kFirstChannel)};
  std::vector<Channel> others;
  for (int i = 1; i < channels; ++i) others.emplace_back(Descriptor(kFirstChannel + i));
  Message message;
  if (!orders.receive(message)) return 2;
  WireReader order(message.payload);
  const auto bounds = order.value<Bounds>();
  BrokeredFiles files(std::move(others));
  os::set_scratch_files([&files] { return files.scratch(); });
  const std::string last = outcome(bounds, [&] {
    confine(bounds);
    if (const auto first = before_work ? files.open(0, "") : nullptr) before_work(first_bytes(*first));
    WireWriter result;
    result(Reply::result);
    Worker(files, reporter(orders)).run(order, result);
    return result.take();
  });
  return orders.send(last) ? 0 : 2;
}

}  // namespace depickle::sandbox
