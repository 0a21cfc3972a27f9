#include "depickle/convert/engine.h"

#include <malloc.h>

#include "depickle/convert/proof.h"
#include "depickle/scan/scan.h"

namespace depickle::convert {
namespace {

// Reading a pickle leaves the heap full of holes: several times what the table needs, at 100,000 tensors. What is free goes back before
// more is taken.
void give_back_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

DigestedTensor row_of(const Tensor& tensor) {
  return {std::string(tensor.name), tensor.dtype, {tensor.shape.begin(), tensor.shape.end()}, tensor.size_bytes, {}};
}

FileReport report_of(const Weights& source, const Plan& plan) {
  FileReport report{.container = source.container(), .root = source.root()};
  report.tensors = source.tensors().size();
  report.tensor_bytes = plan.tensor_bytes;
  report.file_bytes = plan.file_bytes;
  for (const Alias& alias : plan.aliases) report.tied.push_back({std::string(alias.dropped), std::string(alias.kept)});
  report.unused = source.unused();
  report.skipped = source.unsupported();
  report.notes = source.notes();
  report.contents.reserve(plan.tensors.size());
  for (const Placed& placed : plan.tensors) report.contents.push_back(row_of(source.tensors()[placed.tensor]));
  return report;
}

void take_digests(FileReport& report, const Digests& digests, const Weights& source) {
  for (size_t i = 0; i < source.files().size(); ++i)
    report.digested_sources.push_back(
        {source.files()[i]->name(), source.files()[i]->size_bytes(), std::string(digests.sources[i].text())});
  report.target_sha256 = digests.target.text();
  for (size_t i = 0; i < report.contents.size(); ++i) report.contents[i].sha256 = digests.tensors[i].text();
}

class InProcess final : public Engine {
 public:
  std::optional<FileReport> convert(
      const weights::Model& model, const MakeTarget& make_target, const EngineOptions& options) override {
    const Weights source = weights::open(model, options.open);
    give_back_memory();
    if (source.is_safetensors()) return std::nullopt;
    try {
      Plan plan = convert::plan(source, options.plan);
      std::optional<Proof> proof;
      if (const os::OutputFile* target = make_target(plan.file_bytes))
        proof = write_and_prove(plan, source, *target,
            {.threads = options.threads,
                .progress = options.progress,
                .file = options.file,
                .digests = options.digests,
                .checksums = options.checksums,
                .durable = options.durable});
      FileReport report = report_of(source, plan);  // last: it has about 200 bytes for each tensor
      if (proof) report.identical = proof->comparison.identical;
      if (proof && options.digests) take_digests(report, proof->digests, source);
      return report;
    } catch (const Error& error) {
      throw error.in(model.entry->name());
    }
  }

  Comparison compare(const weights::Model& a, const weights::Model& b, const CompareOptions& options) override {
    return convert::compare(weights::open(a), weights::open(b), options);
  }

  scan::Scan scan(std::shared_ptr<const ByteSource> file) override { return scan::scan(std::move(file)); }

  TableSummary summarize(const weights::Model& model, const weights::OpenOptions& options) override {
    const Weights weights = weights::open(model, options);
    TableSummary look{
        .container = weights.container(), .is_safetensors = weights.is_safetensors(), .root = weights.root()};
    look.tensors.reserve(weights.tensors().size());
    for (const Tensor& tensor : weights.tensors()) look.tensors.push_back(row_of(tensor));
    look.metadata = weights.metadata();
    look.unused = weights.unused();
    look.unsupported = weights.unsupported();
    look.notes = weights.notes();
    return look;
  }
};

}  // namespace

Engine& local_engine() noexcept {
  static InProcess engine;
  return engine;
}

}  // namespace depickle::convert
