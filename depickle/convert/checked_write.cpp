#include "depickle/convert/checked_write.h"

#include <atomic>
#include <future>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/convert/checksums.h"
#include "depickle/convert/write.h"
#include "depickle/os/mapped_file.h"

namespace depickle::convert {
namespace {

// If the system refuses another thread, libstdc++ runs the work in get() instead of throwing std::system_error.
constexpr std::launch kAsync = std::launch::async | std::launch::deferred;

[[noreturn]] void throw_difference(const std::string& what) {
  throw Error(Code::integrity, "", "the written file differs from the source: " + what, {},
      "the target was not created; check the disk and the memory, then try again");
}

// Computes the digests of the source's files while the target is being written. The destructor cancels the work.
class SourceDigests {
 public:
  SourceDigests(const Weights& source, bool enabled) {
    if (!enabled) return;
    std::vector<Bytes> pieces;
    for (const auto& file : source.files()) pieces.push_back(file->all());
    future_ = std::async(kAsync, [this, pieces = std::move(pieces)] {
      ProgressMeter meter(check_cancelled_, "", "", 0);
      return sha256_each(pieces, 1, meter);
    });
  }
  ~SourceDigests() { is_cancelled_ = true; }
  std::vector<Digest> get() { return future_.valid() ? future_.get() : std::vector<Digest>{}; }

 private:
  std::atomic<bool> is_cancelled_ = false;
  const Progress check_cancelled_ = [this](const Step&) {
    if (is_cancelled_) throw Error(Code::cancelled, "", "stopped");
  };
  std::future<std::vector<Digest>> future_;  // last: its destructor waits for the work, which uses the other members
};

// Compares the written file's own header with the plan.
void check_table(const ConversionPlan& plan, const Weights& source, const Weights& written) {
  if (!written.is_safetensors() || written.tensors().size() != plan.tensors.size())
    throw_difference(fmt::format("a {} file of {}", written.container(), plural(written.tensors().size(), "tensor")));
  for (const TensorPlacement& placed : plan.tensors) {
    const std::string_view name = source.tensors()[placed.tensor].name;
    const Tensor* tensor = written.find(name);
    if (!tensor || written.storage(*tensor).offset_bytes + tensor->offset_bytes != placed.begin)
      throw_difference(fmt::format("tensor {} is not at byte {}", quoted(name), placed.begin));
  }
}

void digest_target(
    const ConversionPlan& plan, const os::MappedFile& target, const CheckedWriteOptions& options, Digests& digests) {
  std::vector<Bytes> pieces{target.all()};
  for (const TensorPlacement& placed : plan.tensors)
    pieces.push_back(target.view(placed.begin, placed.end - placed.begin));
  ProgressMeter meter(options.progress, "hash", options.file, plan.file_bytes + plan.tensor_bytes);
  digests.tensors = sha256_each(pieces, options.threads, meter);
  digests.target = digests.tensors.front();
  digests.tensors.erase(digests.tensors.begin());
}

}  // namespace

CheckedWrite write_checked(
    ConversionPlan& plan, const Weights& source, const os::OutputFile& file, const CheckedWriteOptions& options) {
  CheckedWrite result;
  SourceDigests source_digests(source, options.digests);
  file.write(0, bytes(plan.head), options.durable);
  std::string().swap(plan.head);  // frees the memory; assignment would not
  const Weights written = weights::open(file.read_back());
  check_table(plan, source, written);
  IncrementalCompare comparison(
      source, written, {.threads = options.threads, .progress = options.progress, .file = options.file});
  Checksums checksums(source);
  auto check_piece = [&](uint32_t tensor, uint64_t begin, uint64_t end) {
    comparison.piece(tensor, begin, end);
    if (options.checksums) checksums.piece(source.tensors()[tensor], begin, end);
  };
  // With digests, one thread writes: hashing the source takes as long as writing and comparing.
  write_tensors(plan, source, file,
      {.threads = options.digests ? 1 : options.threads,
          .progress = options.progress,
          .file = options.file,
          .durable = options.durable,
          .written = check_piece});

  std::future<void> synced;
  if (options.durable == os::Durable::yes) synced = std::async(kAsync, [&] { file.sync(); });
  result.comparison = comparison.finish();
  if (!result.comparison.is_identical())
    throw_difference(describe(result.comparison.differences.front(), "the source", "the written file"));
  if (options.checksums) checksums.check(options.threads, options.progress, options.file);
  if (options.digests) {
    digest_target(plan, *file.read_back(), options, result.digests);
    result.digests.sources = source_digests.get();
  }
  for (const auto& opened : source.files()) opened->check_unchanged();
  if (synced.valid()) synced.get();
  return result;
}

}  // namespace depickle::convert
