// An engine that looks into files in a process of its own, which can do nothing else: a bug in a reader reaches nothing.
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
  /// Absolute path, then arguments; it must call sandbox::serve with `channels` channels.
  std::vector<std::string> program;
  int channels = 5;                           ///< one for orders, and so many reads at once (at most 16 in all)
  std::vector<std::string> environment = {};  ///< "NAME=value"; all that the process gets
  Bounds bounds = {.memory_bytes = uint64_t{4} << 30, .file_bytes = 0, .cpu_seconds = 0};
  double seconds = 0;  ///< that one piece of work may take; 0 is no limit
  /// Called several times a second while a process works, on the thread that called the engine; throws to stop it.
  std::function<void()> check = {};
};

/// Each call starts a fresh process (some milliseconds), which is confined (sandbox::confine) before it sees a byte of a file, and gone when the call
/// returns. Files of this machine are handed over as open descriptors, others are read here for it, and so is everything about names.
///
/// Throws what the work throws there. Where the process dies: Error{unsafe} if it did what a reader never does, {malformed} if it crashed, {limit} if
/// it ran out of memory, time or file size, {integrity} if a source became shorter under it. The target is then its maker's to drop.
class Sandbox final : public repo::Engine {
 public:
  explicit Sandbox(SandboxOptions options) : options_(std::move(options)) {}

  std::optional<convert::FileReport> convert(const weights::Model& source, const convert::MakeTarget& make_target,
      const convert::EngineOptions& options) override;
  convert::Comparison compare(
      const weights::Model& a, const weights::Model& b, const convert::CompareOptions& options) override;
  scan::Scan scan(std::shared_ptr<const ByteSource> file) override;
  convert::TableSummary summarize(const weights::Model& model, const weights::OpenOptions& options) override;
  void check_model(repo::Check& check, const repo::ModelPair& pair, const safetensors::Index* index,
      const repo::OpenFile& open_before, const repo::OpenFile& open_after, const repo::CheckOptions& options) override;

  /// Processes that died instead of answering, so far.
  uint64_t deaths() const noexcept { return deaths_; }

 private:
  /// The answer to an order.
  std::string run(const std::string& order, std::vector<repo::OpenFile> sides, const convert::MakeTarget& make_target,
      const Progress& progress);
  std::string await(const Channel& channel, const Progress& progress) const;

  const SandboxOptions options_;
  std::atomic<uint64_t> deaths_ = 0;
};

}  // namespace depickle::sandbox
