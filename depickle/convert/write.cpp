#include "depickle/convert/write.h"

#include <algorithm>

#include "depickle/convert/blocks.h"

namespace depickle::convert {
namespace {

// A piece of one tensor.
void write_piece(
    const Weights& source, const Placed& placed, const Block& block, const OutputFile& file, Buffers& buffers) {
  Buffers::Lease lease(buffers);
  file.write(placed.begin + block.begin,
      logical_bytes(source, source.tensors()[placed.tensor], block.begin, block.end - block.begin, lease));
}

// Small neighbours, in one go.
void write_batch(const Weights& source, std::span<const Placed> batch, const OutputFile& file, Buffers& buffers) {
  Buffers::Lease lease(buffers);
  MutableBytes together = lease.bytes(batch.back().end - batch.front().begin);
  for (const Placed& placed : batch) {
    if (placed.begin != placed.end)
      source.read(source.tensors()[placed.tensor], 0,
          together.subspan(placed.begin - batch.front().begin, placed.end - placed.begin));
  }
  file.write(batch.front().begin, together);
}

}  // namespace

void write(const Plan& plan, const Weights& source, const OutputFile& file, const WriteOptions& options) {
  file.write(0, bytes(plan.head));
  Buffers buffers(options.threads);
  std::span<const Placed> placed(plan.tensors);
  std::vector<Block> blocks = cut_blocks(
      static_cast<uint32_t>(placed.size()), [&](uint32_t i) { return placed[i].end - placed[i].begin; },
      [&](uint32_t i) { return piece_bytes(source.tensors()[placed[i].tensor], buffers); });
  Meter meter(options.progress, "write", options.file, plan.tensor_bytes);
  parallel_for(blocks.size(), options.threads, [&](uint64_t i) {
    const Block& block = blocks[i];
    if (block.count == 1) {
      write_piece(source, placed[block.first], block, file, buffers);
    } else {
      write_batch(source, placed.subspan(block.first, block.count), file, buffers);
    }
    meter.add(block.end - block.begin);
  });
}

}  // namespace depickle::convert
