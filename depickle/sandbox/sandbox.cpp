#include "depickle/sandbox/sandbox.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/os/process.h"
#include "depickle/sandbox/file_broker.h"

namespace depickle::sandbox {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPollMs = 100;

repo::OpenFile opener(const weights::Model& model) {
  return [&model](const std::string& name) {
    return name.empty() || !model.open_shard ? model.entry : model.open_shard(name);
  };
}

// Returns the error for a process that ended without a result. `status` is waitpid's.
Error death_error(int status, const ResourceLimits& limits) {
  if (!WIFSIGNALED(status))
    return Error(
        Code::io, "", fmt::format("the sandboxed process could not be started (exit status {})", WEXITSTATUS(status)));
  const int number = WTERMSIG(status);
  switch (number) {
    case SIGSYS:
      return Error(Code::unsafe, "", "the sandboxed process made a forbidden system call and was killed", {},
          "do not load this file with any tool; nothing outside the sandbox was changed");
    case SIGXCPU:
      return Error(Code::limit, "",
          fmt::format("reading the file took more processor time than allowed (limit {} s)", limits.cpu_seconds));
    case SIGXFSZ:
      return Error(
          Code::limit, "", fmt::format("the result is larger than allowed (limit {})", human_bytes(limits.file_bytes)));
    case SIGBUS:
      return Error(Code::integrity, "", "the file was truncated while it was read", {},
          "try again when no program writes to the file");
    case SIGKILL:
      return Error(Code::limit, "", "the sandboxed process was killed, probably because memory ran out", {},
          "try again on a machine with more memory");
    default:
      return Error(Code::malformed, "",
          fmt::format(
              "the sandboxed process crashed ({}); nothing outside the sandbox was changed", ::sigabbrev_np(number)),
          {}, "this is a bug in depickle: please report it, with the file if you can");
  }
}

// Returns the encoded result if the message contains one. Throws the error that the message contains. Reports progress.
std::optional<std::string> result_of(const std::string& payload, const Progress& progress) {
  WireReader wire(payload);
  switch (wire.value<Reply>()) {
    case Reply::result: return payload.substr(sizeof(Reply));
    case Reply::error: throw wire.error();
    case Reply::progress: {
      std::string phase, file;
      Step step{};
      wire(phase, file, step.done_bytes, step.total_bytes);
      step.phase = phase;
      step.file = file;
      if (progress) progress(step);
    }
  }
  return std::nullopt;
}

// The worker closed its channel without a result.
struct WorkerDied {};

}  // namespace

std::string Sandbox::await_result(const Channel& channel, const Progress& progress) const {
  const Clock::time_point start = Clock::now();
  Message message;
  while (true) {
    if (options_.check_cancelled) options_.check_cancelled();
    if (options_.max_seconds > 0 && Clock::now() - start > std::chrono::duration<double>(options_.max_seconds))
      throw Error(Code::limit, "",
          fmt::format("reading the file took longer than allowed (limit {:.1f} s)", options_.max_seconds));
    if (!channel.wait(kPollMs)) continue;
    if (!channel.receive(message)) throw WorkerDied{};
    if (std::optional<std::string> result = result_of(message.payload, progress)) return std::move(*result);
  }
}

std::string Sandbox::run(const std::string& task, std::vector<repo::OpenFile> sides,
    const convert::MakeTarget& make_target, const Progress& progress) {
  std::vector<Channel> ours, theirs;
  std::vector<int> descriptors{-1, -1, STDERR_FILENO};  // standard output belongs to the program
  for (int i = 0; i < options_.channels; ++i) {
    auto [ours_end, theirs_end] = Channel::pair();
    descriptors.push_back(theirs_end.descriptor());
    ours.push_back(std::move(ours_end));
    theirs.push_back(std::move(theirs_end));
  }
  os::Process process(options_.program, descriptors, options_.environment);
  theirs.clear();  // else receive() would not notice that the process ended
  const Channel channel = std::move(ours.front());
  ours.erase(ours.begin());
  const FileBroker broker(std::move(ours), std::move(sides), make_target);
  try {
    WireWriter message;
    message(options_.limits);
    if (!channel.send(message.take() + task)) throw WorkerDied{};
    std::string result = await_result(channel, progress);
    process.kill();
    return result;
  } catch (const WorkerDied&) {
    ++failures_;
    process.kill();  // it may have closed the channel without ending
    throw death_error(process.wait(), options_.limits);
  } catch (...) {
    process.kill();
    throw;
  }
}

std::optional<convert::FileReport> Sandbox::convert_model(
    const weights::Model& source, const convert::MakeTarget& make_target, const convert::EngineOptions& options) {
  WireWriter task;
  task(Task::convert_model, options);
  try {
    const std::string result = run(task.take(), {opener(source)}, make_target, options.progress);
    return WireReader(result).value<std::optional<convert::FileReport>>();
  } catch (const Error& error) {
    throw error.in(source.entry->name());
  }
}

convert::Comparison Sandbox::compare_models(
    const weights::Model& a, const weights::Model& b, const convert::CompareOptions& options) {
  WireWriter task;
  task(Task::compare_models, options.threads, options.file);
  const std::string result = run(task.take(), {opener(a), opener(b)}, {}, options.progress);
  return WireReader(result).value<convert::Comparison>();
}

scan::Scan Sandbox::scan_file(std::shared_ptr<const ByteSource> file) {
  WireWriter task;
  task(Task::scan_file);
  try {
    const std::string result = run(task.take(), {[&](const std::string&) { return file; }}, {}, {});
    return WireReader(result).value<scan::Scan>();
  } catch (const Error& error) {
    throw error.in(file->name());
  }
}

convert::TableSummary Sandbox::summarize(const weights::Model& model, const weights::OpenOptions& options) {
  WireWriter task;
  task(Task::summarize, options);
  try {
    const std::string result = run(task.take(), {opener(model)}, {}, {});
    return WireReader(result).value<convert::TableSummary>();
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
  const std::string result = run(task.take(), {open_before, open_after}, {}, options.progress);
  auto found = WireReader(result).value<repo::Check>();
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
