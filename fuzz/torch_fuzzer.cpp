// torch files in memory: the table of the model and of the whole checkpoint, reads of its tensors, and the scan.
#include <algorithm>

#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/pickle/parse.h"
#include "depickle/formats/torch/globals.h"
#include "depickle/formats/torch/table.h"
#include "depickle/formats/zip/archive.h"
#include "depickle/scan/closed_list.h"
#include "depickle/scan/scan.h"
#include "depickle/weights/builder.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"

namespace depickle::fuzz {
namespace {

constexpr uint64_t kExpandLimitBytes = 64 << 10;

// As weights::open, but from memory.
Weights table_of(const std::shared_ptr<const ByteSource>& file, std::string root) {
  torch::Table table = torch::read_table(file, {.root = std::move(root), .expand_limit_bytes = kExpandLimitBytes});
  weights::Builder builder(table.kind);
  for (Storage& storage : table.storages) builder.add_storage(std::move(storage));
  for (const Tensor& tensor : table.tensors) builder.add(tensor);
  builder.own(table.owner).root(table.root).unused(std::move(table.unused)).unsupported(std::move(table.unsupported));
  table = {};
  return std::move(builder).build();
}

void read_some(const Weights& weights, const Tensor& tensor) {
  constexpr uint64_t kMaxBytes = 4096;
  const uint64_t unit = unit_bytes(tensor.dtype), length = std::min(tensor.size_bytes, kMaxBytes) / unit * unit;
  std::vector<std::byte> first(length), last(length);
  weights.read(tensor, 0, first);
  weights.read(tensor, tensor.size_bytes - length, last);
  if (tensor.is_contiguous()) {
    Bytes view = weights.view(tensor);
    require(std::ranges::equal(view.first(length), first) && std::ranges::equal(view.last(length), last),
        "view and read agree");
  }
}

bool check_table(const std::shared_ptr<const ByteSource>& file, const std::string& root) {
  return accepts([&] {
    Weights weights = table_of(file, root);
    constexpr size_t kMaxTensors = 200;
    for (const Tensor& tensor : weights.tensors().first(std::min(weights.tensors().size(), kMaxTensors))) {
      require(weights.find(tensor.name) == &tensor, "a tensor is found by its name");
      accepts([&] { read_some(weights, tensor); });
    }
  });
}

// Returns whether a pickle names a global outside the closed list. Independent of the scanner.
bool names_unlisted_global(Bytes stream) {
  pickle::Trace trace = pickle::trace(stream);
  return std::ranges::any_of(
      trace.graph.globals(), [](const pickle::Global& global) { return !scan::is_inert(global); });
}

// Returns the pickle that a loader would run first; empty if the container cannot be read.
Bytes first_pickle(const std::shared_ptr<const ByteSource>& file) {
  Bytes found;
  using detect::FileKind;
  switch (detect::file_kind(*file)) {
    case FileKind::torch_legacy:
    case FileKind::pickle:
    case FileKind::plain_pickle: return file->all();
    case FileKind::zip:
      accepts([&] {
        zip::Archive archive = zip::Archive::read(file);
        for (const zip::Record& record : archive.records())
          if (record.name.ends_with("data.pkl") && record.method == zip::Record::Method::stored)
            found = archive.content(record).bytes();
      });
      return found;
    default: return found;
  }
}

void check_scan(const std::shared_ptr<const ByteSource>& file) {
  scan::Scan scan = scan::scan_pickles(file);  // an exception is a bug
  using enum scan::Verdict;
  require((scan.verdict == has_code) == !scan.findings.empty(),
      "the verdict is has-code if and only if there are findings");
  require(scan.verdict != tensors_only || !scan.error, "a file with the verdict tensors-only has no error");
  require(scan.findings.size() <= 1001, "the number of findings is limited");
  for (const scan::Finding& finding : scan.findings)
    require(std::ranges::none_of(finding.what + finding.record,
                [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }),
        "findings are printable");
  require(!names_unlisted_global(first_pickle(file)) || scan.verdict == has_code,
      "a pickle that names a global outside the closed list has the verdict has-code");
}

void run(Bytes bytes) {
  std::shared_ptr<const ByteSource> file = input_file(bytes);
  check_table(file, "");
  check_table(file, ".");
  check_scan(file);
}

}  // namespace
}  // namespace depickle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  depickle::fuzz::run(depickle::fuzz::input(data, size));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return depickle::fuzz::mutate_any(data, size, max_size, seed);
}
