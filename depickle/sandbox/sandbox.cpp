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

constexpr int kTickMs = 100;

repo::OpenFile opener(const weights::Model& model) {
  return [&model](const std::string& name) {
    return name.empty() || !model.open_shard ? model.entry : model.open_shard(name);
  };
}

// What the way in which a process ended says.
Error death(int status, const Bounds& bounds) {
  if (!WIFSIGNALED(status))
    return Error(
        Code::io, "", fmt::format("the process that reads it could not be started (status {})", WEXITSTATUS(status)));
  const int number = WTERMSIG(status);
  switch (number) {
    case SIGSYS:
      return Error(Code::unsafe, "", "the process that reads it did what no reader does, and was stopped", {},
          "do not load this file with anything; nothing of this machine was touched");
    case SIGXCPU:
      return Error(Code::limit, "",
          fmt::format("reading it takes more than the {} s of processor time that it may", bounds.cpu_seconds));
    case SIGXFSZ:
      return Error(Code::limit, "",
          fmt::format("the result is larger than the {} that it may be", human_bytes(bounds.file_bytes)));
    case SIGBUS:
      return Error(
          Code::integrity, "", "the file became shorter while it was read", {}, "try again when nothing writes to it");
    case SIGKILL:
      return Error(Code::limit, "", "the process that reads it was killed, most likely because memory ran out", {},
          "try again on a machine with more memory");
    default:
      return Error(Code::malformed, "",
          fmt::format(
              "the process that reads it crashed ({}); nothing outside of it was touched", ::sigabbrev_np(number)),
          {}, "this is a bug of depickle: please report it, with the file where you can");
  }
}

// The worker's own words, or nothing where it ended without.
std::optional<std::string> result_in(const std::string& payload, const Progress& progress) {
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

struct Died {};

}  // namespace

std::string Sandbox::await(const Channel& channel, const Progress& progress) const {
  const Clock::time_point start = Clock::now();
  Message message;
  while (true) {
    if (options_.check) options_.check();
    if (options_.seconds > 0 && Clock::now() - start > std::chrono::duration<double>(options_.seconds))
      throw Error(
          Code::limit, "", fmt::format("reading it takes more than the {:.0f} s that it may", options_.seconds));
    if (!channel.wait(kTickMs)) continue;
    if (!channel.receive(message)) throw Died{};
    if (std::optional<std::string> result = result_in(message.payload, progress)) return std::move(*result);
  }
}

std::string Sandbox::run(const std::string& order, std::vector<repo::OpenFile> sides,
    const convert::MakeTarget& make_target, const Progress& progress) {
  std::vector<Channel> ours, theirs;
  std::vector<int> descriptors{-1, -1, STDERR_FILENO};  // what goes to standard output is the program's own word
  for (int i = 0; i < options_.channels; ++i) {
    auto [here, there] = Channel::pair();
    descriptors.push_back(there.descriptor());
    ours.push_back(std::move(here));
    theirs.push_back(std::move(there));
  }
  os::Process process(options_.program, descriptors, options_.environment);
  theirs.clear();  // so that its end is seen here
  const Channel channel = std::move(ours.front());
  ours.erase(ours.begin());
  const FileBroker desk(std::move(ours), std::move(sides), make_target);
  try {
    WireWriter message;
    message(options_.bounds);
    if (!channel.send(message.take() + order)) throw Died{};
    std::string result = await(channel, progress);
    process.kill();  // it has nothing more to say
    return result;
  } catch (const Died&) {
    ++deaths_;
    process.kill();  // in case it only hung up
    throw death(process.wait(), options_.bounds);
  } catch (...) {
    process.kill();
    throw;
  }
}

std::optional<convert::FileReport> Sandbox::convert(
    const weights::Model& source, const convert::MakeTarget& make_target, const convert::EngineOptions& options) {
  WireWriter order;
  order(Task::convert, options);
  try {
    const std::string result = run(order.take(), {opener(source)}, make_target, options.progress);
    return WireReader(result).value<std::optional<convert::FileReport>>();
  } catch (const Error& error) {
    throw error.in(source.entry->name());
  }
}

convert::Comparison Sandbox::compare(
    const weights::Model& a, const weights::Model& b, const convert::CompareOptions& options) {
  WireWriter order;
  order(Task::compare, options.threads, options.file);
  const std::string result = run(order.take(), {opener(a), opener(b)}, {}, options.progress);
  return WireReader(result).value<convert::Comparison>();
}

scan::Scan Sandbox::scan(std::shared_ptr<const ByteSource> file) {
  WireWriter order;
  order(Task::scan);
  try {
    const std::string result = run(order.take(), {[&](const std::string&) { return file; }}, {}, {});
    return WireReader(result).value<scan::Scan>();
  } catch (const Error& error) {
    throw error.in(file->name());
  }
}

convert::TableSummary Sandbox::summarize(const weights::Model& model, const weights::OpenOptions& options) {
  WireWriter order;
  order(Task::look, options);
  try {
    const std::string result = run(order.take(), {opener(model)}, {}, {});
    return WireReader(result).value<convert::TableSummary>();
  } catch (const Error& error) {
    throw error.in(model.entry->name());
  }
}

void Sandbox::check_model(repo::Check& check, const repo::ModelPair& pair, const safetensors::Index* index,
    const repo::OpenFile& open_before, const repo::OpenFile& open_after, const repo::CheckOptions& options) {
  std::optional<std::string> index_json;
  if (index) index_json = index->to_json();
  WireWriter order;
  order(Task::check_model, pair, index_json, options.threads);
  const std::string result = run(order.take(), {open_before, open_after}, {}, options.progress);
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
