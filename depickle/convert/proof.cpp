#include "depickle/convert/proof.h"

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

[[noreturn]] void differs(const std::string& what) {
  throw Error(Code::integrity, "", "what was written is not what was read: " + what, {},
      "nothing was left under the target's name; check the disk and the memory, and try again");
}

// Digests of the source's files, begun while the target is still being written. Leaving it early stops the work.
class SourceDigests {
 public:
  SourceDigests(const Weights& source, bool wanted) {
    if (!wanted) return;
    std::vector<Bytes> pieces;
    for (const auto& file : source.files()) pieces.push_back(file->all());
    future_ = std::async(std::launch::async, [this, pieces = std::move(pieces)] {
      Meter meter(stop_, "", "", 0);
      return sha256_each(pieces, 1, meter);
    });
  }
  ~SourceDigests() { stopped_ = true; }
  std::vector<Digest> get() { return future_.valid() ? future_.get() : std::vector<Digest>{}; }

 private:
  std::atomic<bool> stopped_ = false;
  const Progress stop_ = [this](const Step&) {
    if (stopped_) throw Error(Code::cancelled, "", "stopped");
  };
  std::future<std::vector<Digest>> future_;  // last: waits before the others go
};

// That the file's own header says of every tensor what the plan says.
void check_table(const Plan& plan, const Weights& source, const Weights& written) {
  if (!written.is_safetensors() || written.tensors().size() != plan.tensors.size())
    differs(fmt::format("a {} file of {}", written.container(), plural(written.tensors().size(), "tensor")));
  for (const Placed& placed : plan.tensors) {
    const std::string_view name = source.tensors()[placed.tensor].name;
    const Tensor* tensor = written.find(name);
    if (!tensor || written.storage(*tensor).offset_bytes + tensor->offset_bytes != placed.begin)
      differs(fmt::format("tensor {} is not at byte {}", quoted(name), placed.begin));
  }
}

void digest_target(const Plan& plan, const os::MappedFile& target, const ProofOptions& options, Digests& digests) {
  std::vector<Bytes> pieces{target.all()};
  for (const Placed& placed : plan.tensors) pieces.push_back(target.view(placed.begin, placed.end - placed.begin));
  Meter meter(options.progress, "hash", options.file, plan.file_bytes + plan.tensor_bytes);
  digests.tensors = sha256_each(pieces, options.threads, meter);
  digests.target = digests.tensors.front();
  digests.tensors.erase(digests.tensors.begin());
}

}  // namespace

Proof write_and_prove(Plan& plan, const Weights& source, const os::OutputFile& file, const ProofOptions& options) {
  Proof proof;
  SourceDigests source_digests(source, options.digests);
  file.write(0, bytes(plan.head), options.durable);
  std::string().swap(plan.head);  // assigning would keep the memory
  const Weights written = weights::open(file.read_back());
  check_table(plan, source, written);
  IncrementalCompare comparing(
      source, written, {.threads = options.threads, .progress = options.progress, .file = options.file});
  Checksums checksums(source);
  auto prove = [&](uint32_t tensor, uint64_t begin, uint64_t end) {
    comparing.piece(tensor, begin, end);
    if (options.checksums) checksums.piece(source.tensors()[tensor], begin, end);
  };
  // With digests there is work enough for the other threads: the source's are as long as all that writing and comparing take.
  write_tensors(plan, source, file,
      {.threads = options.digests ? 1 : options.threads,
          .progress = options.progress,
          .file = options.file,
          .durable = options.durable,
          .written = prove});

  std::future<void> on_the_disk;
  if (options.durable == os::Durable::yes) on_the_disk = std::async(std::launch::async, [&] { file.sync(); });
  proof.comparison = comparing.finish();
  if (!proof.comparison.same()) differs(describe(proof.comparison.findings.front(), "the source", "the file written"));
  if (options.checksums) checksums.check(options.threads, options.progress, options.file);
  if (options.digests) {
    digest_target(plan, *file.read_back(), options, proof.digests);
    proof.digests.sources = source_digests.get();
  }
  for (const auto& opened : source.files()) opened->check_unchanged();
  if (on_the_disk.valid()) on_the_disk.get();
  return proof;
}

}  // namespace depickle::convert
