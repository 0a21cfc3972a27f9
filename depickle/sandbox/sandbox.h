// An engine that reads files in a sandboxed process, so that a bug in a parser affects nothing outside that process.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "depickle/repo/engine.h"
#include "depickle/sandbox/channel.h"
#include "depickle/sandbox/messages.h"

namespace depickle::sandbox {

struct SandboxOptions {
  /// Absolute path, then arguments. The program must call sandbox::serve with `channels` channels.
  std::vector<std::string> program;
  int channels = 5;                           ///< one for the task, the others for parallel file requests; at most 16
  std::vector<std::string> environment = {};  ///< "NAME=value"; the complete environment of the process
  ResourceLimits limits = {.memory_bytes = uint64_t{4} << 30, .file_bytes = 0, .cpu_seconds = 0};  ///< see limits_for()
  double max_seconds = 0;  ///< per task; 0: no limit
  /// Called ten times a second during a task, on the thread that called the engine. Throws to cancel the task.
  std::function<void()> check_cancelled = {};
};

/// Each call starts a process, which takes some milliseconds. The process is confined (sandbox::confine) before it
/// reads a byte of a file, and has ended when the call returns. It receives open descriptors of local files from a list
/// that is closed before it starts (FileList). The calling process reads remote files for it and handles all file
/// names.
///
/// Throws the errors of the task. If the process dies, throws Error{unsafe} after a forbidden system call or request,
/// {malformed} after a crash, {limit} if it exceeded its memory, time or file size, {integrity} if a source was
/// truncated meanwhile. The caller then removes the target.
class Sandbox final : public repo::Engine {
 public:
  explicit Sandbox(SandboxOptions options) : options_(std::move(options)) {}

  std::optional<convert::FileReport> convert_model(const weights::Model& source, const convert::MakeTarget& make_target,
      const convert::EngineOptions& options) override;
  convert::Comparison compare_models(
      const weights::Model& a, const weights::Model& b, const convert::CompareModelsOptions& options) override;
  scan::Scan scan_file(std::shared_ptr<const ByteSource> file) override;
  convert::TableSummary summarize(const weights::Model& model, const convert::SummaryOptions& options) override;
  void check_model(repo::Check& check, const repo::ModelPair& pair, const safetensors::Index* index,
      const repo::OpenFile& open_before, const repo::OpenFile& open_after, const repo::CheckOptions& options) override;

  /// Returns the number of processes that died without a result.
  uint64_t failures() const noexcept { return failures_; }

 private:
  struct Job;
  /// Runs a job in a new process and returns the encoded result.
  std::string run(Job job);
  std::string await_result(const Channel& channel, const Job& job) const;

  const SandboxOptions options_;
  std::atomic<uint64_t> failures_ = 0;
};

}  // namespace depickle::sandbox
