#include "depickle/convert/engine.h"

#include <malloc.h>

#include <algorithm>
#include <map>

#include "depickle/convert/checked_write.h"
#include "depickle/convert/hash.h"
#include "depickle/scan/scan.h"

namespace depickle::convert {
namespace {

// Reading a pickle fragments the heap: with 100,000 tensors it is several times as large as the table. Returns the free
// memory to the system before more is allocated.
void return_free_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

DigestedTensor row_of(const Tensor& tensor) {
  return {std::string(tensor.name), tensor.dtype, {tensor.shape.begin(), tensor.shape.end()}, tensor.size_bytes, {}};
}

std::vector<uint64_t> strides_of(const Tensor& tensor) {
  if (!tensor.strides.empty()) return {tensor.strides.begin(), tensor.strides.end()};
  std::vector<uint64_t> strides(tensor.shape.size());
  uint64_t stride = 1;
  for (size_t i = strides.size(); i-- > 0;
      stride *=
      std::max<uint64_t>(i + 1 == strides.size() && bits(tensor.dtype) == 4 ? tensor.shape[i] / 2 : tensor.shape[i], 1))
    strides[i] = stride;
  return strides;
}

TensorLayout layout_of(const Weights& weights, const Tensor& tensor) {
  using Kind = TensorLayout::Kind;
  const Storage& storage = weights.storage(tensor);
  TensorLayout layout{.strides = strides_of(tensor), .storage = std::string(storage.key), .file_offset = {}};
  if (tensor.is_contiguous()) {
    if (storage.source->is_file()) layout.file_offset = storage.offset_bytes + tensor.offset_bytes;
  } else {
    layout.kind = tensor.conjugate || tensor.negate || tensor.swap ? Kind::computed : Kind::strided;
  }
  return layout;
}

void add_digests(TableSummary& summary, const Weights& weights, const SummaryOptions& options) {
  std::vector<Bytes> pieces;
  std::vector<DigestedTensor*> rows;
  uint64_t total_bytes = 0;
  for (size_t i = 0; i < summary.tensors.size(); ++i) {
    if (!weights.tensors()[i].is_contiguous()) continue;
    pieces.push_back(weights.view(weights.tensors()[i]));
    rows.push_back(&summary.tensors[i]);
    total_bytes += pieces.back().size();
  }
  ProgressMeter meter(options.progress, "verify", options.file, total_bytes);
  const std::vector<Digest> digests = sha256_each(pieces, options.threads, meter);
  for (size_t i = 0; i < rows.size(); ++i) rows[i]->sha256 = digests[i].text();
}

FileReport report_of(const Weights& source, const ConversionPlan& plan) {
  FileReport report{.container = source.container(), .root = source.root()};
  report.tensors = source.tensors().size();
  report.tensor_bytes = plan.tensor_bytes;
  report.file_bytes = plan.file_bytes;
  for (const Alias& alias : plan.aliases) report.tied.push_back({std::string(alias.dropped), std::string(alias.kept)});
  report.unused = source.unused();
  report.unsupported = source.unsupported();
  report.notes = source.notes();
  report.contents.reserve(plan.tensors.size());
  for (const TensorPlacement& placed : plan.tensors) report.contents.push_back(row_of(source.tensors()[placed.tensor]));
  return report;
}

void set_digests(FileReport& report, const Digests& digests, const Weights& source) {
  for (size_t i = 0; i < source.files().size(); ++i)
    report.digested_sources.push_back(
        {source.files()[i]->name(), source.files()[i]->size_bytes(), std::string(digests.sources[i].text())});
  report.target_sha256 = digests.target.text();
  for (size_t i = 0; i < report.contents.size(); ++i) report.contents[i].sha256 = digests.tensors[i].text();
}

class LocalEngine final : public Engine {
 public:
  std::optional<FileReport> convert_model(
      const weights::Model& model, const MakeTarget& make_target, const EngineOptions& options) override {
    const Weights source = weights::open(model, options.open);
    return_free_memory();
    if (source.is_safetensors()) return std::nullopt;
    try {
      ConversionPlan plan = plan_conversion(source, options.plan);
      std::optional<CheckedWrite> written;
      if (const os::OutputFile* target = make_target(plan.file_bytes))
        written = write_checked(plan, source, *target,
            {.threads = options.threads,
                .progress = options.progress,
                .file = options.file,
                .digests = options.digests,
                .checksums = options.checksums,
                .durable = options.durable});
      FileReport report = report_of(source, plan);  // last, because it takes about 200 bytes per tensor
      if (written) report.identical = written->comparison.identical;
      if (written && options.digests) set_digests(report, written->digests, source);
      return report;
    } catch (const Error& error) {
      throw error.in(model.entry->name());
    }
  }

  Comparison compare_models(
      const weights::Model& a, const weights::Model& b, const CompareModelsOptions& options) override {
    return convert::compare(weights::open(a, options.open_a), weights::open(b, options.open_b),
        {.threads = options.threads, .progress = options.progress, .file = options.file});
  }

  scan::Scan scan_file(std::shared_ptr<const ByteSource> file) override { return scan::scan(file); }

  TableSummary summarize(const weights::Model& model, const SummaryOptions& options) override {
    const Weights weights = weights::open(model, options.open);
    TableSummary summary{
        .container = weights.container(), .is_safetensors = weights.is_safetensors(), .root = weights.root()};
    summary.tensors.reserve(weights.tensors().size());
    for (const auto& file : weights.files()) summary.files.push_back(file->name());
    for (const Tensor& tensor : weights.tensors()) summary.tensors.push_back(row_of(tensor));
    if (options.digests) add_digests(summary, weights, options);
    if (options.layouts)
      for (const Tensor& tensor : weights.tensors()) summary.layouts.push_back(layout_of(weights, tensor));
    summary.metadata = weights.metadata();
    summary.unused = weights.unused();
    summary.unsupported = weights.unsupported();
    summary.notes = weights.notes();
    return summary;
  }
};

}  // namespace

Engine& local_engine() noexcept {
  static LocalEngine engine;
  return engine;
}

bool has_equal_tables(
    Engine& engine, const OpenModel& open, const std::vector<std::string>& pickles, const std::string& safetensors) {
  try {
    std::map<std::string, DigestedTensor> tensors;
    for (const std::string& pickle : pickles)
      for (DigestedTensor& tensor : engine.summarize(open(pickle), {}).tensors)
        tensors.emplace(tensor.name, std::move(tensor));
    return std::ranges::all_of(engine.summarize(open(safetensors), {}).tensors, [&](const DigestedTensor& tensor) {
      const auto there = tensors.find(tensor.name);
      return there != tensors.end() && there->second.dtype == tensor.dtype && there->second.shape == tensor.shape;
    });
  } catch (const Error& error) {
    if (error.code() == Code::cancelled || error.code() == Code::network || error.code() == Code::denied) throw;
    return true;
  }
}

}  // namespace depickle::convert
