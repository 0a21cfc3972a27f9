// Conversion: plans, writes, compares and commits a file that depickle can open, then reads the result strictly.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "depickle/convert/checked_write.h"
#include "depickle/formats/safetensors/header.h"
#include "depickle/os/atomic_file.h"
#include "depickle/os/mapped_file.h"
#include "depickle/scan/scan.h"
#include "depickle/weights/weights.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"
#include "tests/temporary_folder.h"

namespace depickle::fuzz {
namespace {

namespace fs = std::filesystem;

// Applies the flags of a tensor to an element, by their definitions.
void apply_flags(const Tensor& tensor, std::span<std::byte> element) {
  const size_t parts = tensor.dtype == Dtype::C64 ? 2 : 1, bytes = element.size() / parts;
  for (size_t part = 0; part < parts; ++part) {
    std::span<std::byte> number = element.subspan(part * bytes, bytes);
    if (tensor.swap) std::ranges::reverse(number);
    if (tensor.negate != (tensor.conjugate && part == 1)) number.back() ^= std::byte{0x80};
  }
}

// Returns the elements of a tensor in C order, copied one by one.
std::vector<std::byte> expected_bytes(const Weights& weights, const Tensor& tensor) {
  const uint64_t unit = unit_bytes(tensor.dtype);
  std::vector<uint64_t> shape(tensor.shape.begin(), tensor.shape.end());
  if (bits(tensor.dtype) == 4 && !shape.empty()) shape.back() /= 2;
  Bytes storage = weights.storage(tensor).bytes();
  std::vector<std::byte> out(tensor.size_bytes);
  for (uint64_t element = 0; element < tensor.size_bytes / unit; ++element) {
    uint64_t from = tensor.strides.empty() ? element : 0, rest = element;
    for (size_t i = shape.size(); i-- > 0 && !tensor.strides.empty(); rest /= shape[i])
      from += rest % shape[i] * tensor.strides[i];
    std::span<std::byte> to(out.data() + element * unit, unit);
    std::ranges::copy(storage.subspan(tensor.offset_bytes + from * unit, unit), to.begin());
    apply_flags(tensor, to);
  }
  return out;
}

void check_written(const Weights& source, const convert::ConversionPlan& plan, const fs::path& target) {
  const auto file = os::MappedFile::open(target);
  const safetensors::Header header = safetensors::Header::read(*file, safetensors::Mode::strict);
  require(header.entries().size() == plan.tensors.size(), "every planned tensor is written");
  auto kept_name = [&](std::string_view name) {
    auto alias = std::ranges::find(plan.aliases, name, &convert::Alias::dropped);
    return alias == plan.aliases.end() ? name : alias->kept;
  };
  uint64_t budget_bytes = 64 << 10;
  for (const Tensor& tensor : source.tensors()) {
    const safetensors::Entry* entry = header.find(kept_name(tensor.name));
    require(entry && entry->dtype == tensor.dtype && std::ranges::equal(entry->shape, tensor.shape),
        "every tensor is in the file, under its name or the kept one");
    if (tensor.size_bytes > budget_bytes) continue;
    budget_bytes -= tensor.size_bytes;
    require(std::ranges::equal(
                file->view(header.data_begin() + entry->begin, entry->size_bytes()), expected_bytes(source, tensor)),
        "every tensor has the source's bits");
  }
}

void convert_and_check(
    const Weights& source, const convert::PlanOptions& options, const fs::path& target, bool digests) {
  convert::ConversionPlan plan = convert::plan_conversion(source, options);
  constexpr uint64_t kMaxBytes = 4 << 20;
  if (plan.file_bytes > kMaxBytes) return;
  {
    os::AtomicFile file(target, plan.file_bytes, os::IfExists::replace);
    convert::CheckedWrite written = convert::write_checked(plan, source, file, {.threads = 1, .digests = digests});
    require(written.comparison.is_identical() && written.comparison.identical == source.tensors().size(),
        "the comparison finds everything identical");
    file.commit();
  }
  check_written(source, plan, target);
  require(convert::compare(source, weights::open(target), {.threads = 1}).is_identical(),
      "source and target are the same file of weights");
}

void run(Bytes bytes) {
  static const Folder folder;  // file names are the same for every input, so an index can name itself
  const fs::path source_path = folder / "input", target = folder / "output.safetensors";
  std::ofstream(source_path, std::ios::binary) << text(bytes);
  scan::scan(source_path);  // an exception is a bug

  Choices choices(bytes);
  std::optional<Weights> source;
  const std::string root = choices.one_in(2) ? "" : ".";
  if (!accepts([&] { source = weights::open(source_path, {.root = root, .expand_limit_bytes = 64 << 10}); })) return;
  convert::PlanOptions options{.align_bytes = choices.one_in(2) ? 8u : 64u, .skip_unsupported = true};
  if (choices.one_in(4)) options.ties = convert::PlanOptions::Ties::copy;
  bool done = false;
  try {
    convert_and_check(*source, options, target, choices.one_in(4));
    done = true;
  } catch (const Error& error) {
    bool damaged = error.code() == Code::integrity && error.rule() == "ZP12";  // a wrong checksum
    require(
        damaged || error.code() == Code::unsupported || error.code() == Code::limit || error.code() == Code::malformed,
        "a file that can be opened is converted, or refused for an expected reason: " + std::string(error.what()));
  }
  if (!done) require(!fs::exists(folder / ".output.safetensors.depickle-tmp"), "no temporary file remains");
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
