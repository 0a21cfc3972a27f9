// Runs the parsers. Model files may be hostile, so this is the only component that reads their content.
//
// Runs in this process (local_engine()) or in a sandboxed process (depickle/sandbox).
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

/// Returns the target file for a known size, valid until the engine's call returns; nullptr: plan only. May throw.
using MakeTarget = std::function<const os::OutputFile*(uint64_t file_bytes)>;

struct EngineOptions {
  PlanOptions plan = {};
  weights::OpenOptions open = {};
  bool checksums = true;  ///< refuse a source that does not match the checksums it contains
  bool digests = false;
  os::Durable durable = os::Durable::yes;
  unsigned threads = default_threads();
  Progress progress = {};
  std::string file = {};  ///< the file name in progress reports
};

struct CompareModelsOptions {
  weights::OpenOptions open_a = {}, open_b = {};
  unsigned threads = default_threads();
  Progress progress = {};
  std::string file = {};  ///< the file name in progress reports
};

struct SummaryOptions {
  weights::OpenOptions open = {};
  bool layouts = false;
  bool digests = false;
  unsigned threads = default_threads();
  Progress progress = {};  ///< of the digests
  std::string file = {};   ///< the file name in progress reports
};

/// How the bytes of a tensor are stored.
struct TensorLayout {
  enum class Kind {
    contiguous,
    strided,
    computed,  ///< its values are conjugated, negated or byte-swapped when it is read
  };
  Kind kind = Kind::contiguous;
  std::vector<uint64_t> strides;        ///< in elements
  std::string storage;                  ///< the key of its storage
  std::optional<uint64_t> file_offset;  ///< of its first byte, if the file contains it contiguous and uncompressed
};

/// A model's table, without its bytes.
struct TableSummary {
  std::string container;  ///< for display: "torch zip, sharded"
  bool is_safetensors = false;
  std::string root;
  std::vector<std::string> files;       ///< the names of its files; the first one is the file that was opened
  std::vector<DigestedTensor> tensors;  ///< with digests if requested, except those that are not contiguous
  std::vector<TensorLayout> layouts;    ///< of each tensor, if requested
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<Unused> unused;
  std::vector<Unsupported> unsupported;
  std::vector<std::string> notes;
};

/// Thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;

  /// Opens, plans, writes and compares, without giving the target a name; only plans if `make_target` returns nullptr.
  /// The caller sets the report's source and target paths. Returns nullopt if the source is a safetensors file.
  /// Throws everything that weights::open(), plan_conversion(), write_checked() and `make_target` throw.
  virtual std::optional<FileReport> convert_model(
      const weights::Model& source, const MakeTarget& make_target, const EngineOptions& options) = 0;
  /// Calls convert::compare for two models.
  virtual Comparison compare_models(
      const weights::Model& a, const weights::Model& b, const CompareModelsOptions& options) = 0;
  /// Calls scan::scan. Throws only if the file cannot be read.
  virtual scan::Scan scan_file(std::shared_ptr<const ByteSource> file) = 0;
  virtual TableSummary summarize(const weights::Model& model, const SummaryOptions& options) = 0;
};

/// Returns the engine that runs in this process.
Engine& local_engine() noexcept;

/// Opens a source of a survey by its path.
using OpenModel = std::function<weights::Model(const std::filesystem::path& file)>;
/// Implements EqualTables of survey.h: reads the tables of the files.
bool has_equal_tables(
    Engine& engine, const OpenModel& open, const std::vector<std::string>& pickles, const std::string& safetensors);

}  // namespace depickle::convert
