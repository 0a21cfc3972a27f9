// Reads model files, which may be hostile. Every other component only handles them by name.
//
// Runs in this process (local_engine()) or in a sandboxed one (depickle/sandbox).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"
#include "depickle/convert/compare.h"
#include "depickle/convert/plan.h"
#include "depickle/convert/report.h"
#include "depickle/os/output_file.h"
#include "depickle/scan/scan.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {

/// The target's file, once its size is known; it lives as long as the call that asked for it. nullptr: only plan. May throw.
using MakeTarget = std::function<const os::OutputFile*(uint64_t file_bytes)>;

struct EngineOptions {
  PlanOptions plan = {};
  weights::OpenOptions open = {};
  bool checksums = true;  ///< refuse a source that is not what its own checksums say
  bool digests = false;
  os::Durable durable = os::Durable::yes;
  unsigned threads = default_threads();
  Progress progress = {};
  std::string file = {};  ///< what Progress calls the work
};

/// A model's table, without its bytes.
struct TableSummary {
  std::string container;  ///< for display: "torch zip, sharded"
  bool is_safetensors = false;
  std::string root;
  std::vector<DigestedTensor> tensors;  ///< without digests
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<Unused> unused;
  std::vector<Unsupported> unsupported;
  std::vector<std::string> notes;
};

/// Safe to use from several threads.
class Engine {
 public:
  virtual ~Engine() = default;

  /// Opens, plans, writes and proves, without giving the target a name; where make_target gives none, only the plan. Source
  /// and target paths of the report are the caller's to fill in. Empty where the source is safetensors already.
  /// Throws what open(), plan(), write_and_prove() and make_target throw.
  virtual std::optional<FileReport> convert(
      const weights::Model& source, const MakeTarget& make_target, const EngineOptions& options) = 0;
  /// convert::compare of two models.
  virtual Comparison compare(const weights::Model& a, const weights::Model& b, const CompareOptions& options) = 0;
  /// scan::scan of a file. Throws only where it cannot look.
  virtual scan::Scan scan(std::shared_ptr<const ByteSource> file) = 0;
  virtual TableSummary summarize(const weights::Model& model, const weights::OpenOptions& options) = 0;
};

/// The engine that works right here.
Engine& local_engine() noexcept;

}  // namespace depickle::convert
