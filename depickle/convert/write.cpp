#include "depickle/convert/write.h"

#include <algorithm>

#include "depickle/convert/blocks.h"

namespace depickle::convert {
namespace {

struct Writing {
  const Weights& source;
  const os::OutputFile& file;
  const WriteOptions& options;
  Buffers buffers = Buffers(options.threads);

  const Tensor& tensor(const Placed& placed) const { return source.tensors()[placed.tensor]; }

  Cut cut(const Placed& placed) const {
    const uint64_t piece = piece_bytes(tensor(placed), buffers);
    return {placed.end - placed.begin, piece, tensor(placed).is_contiguous() ? placed.begin : 0};
  }

  // A piece of one tensor.
  void write_piece(const Placed& placed, const Block& block) {
    Buffers::Lease lease(buffers);
    file.write(placed.begin + block.begin,
        logical_bytes(source, tensor(placed), block.begin, block.end - block.begin, lease), options.durable);
  }

  // Small neighbours, in one go.
  void write_batch(std::span<const Placed> batch) {
    Buffers::Lease lease(buffers);
    const uint64_t begin = batch.front().begin;
    MutableBytes together = lease.bytes(batch.back().end - begin);
    for (const Placed& placed : batch) {
      if (placed.begin != placed.end)
        source.read(tensor(placed), 0, together.subspan(placed.begin - begin, placed.end - placed.begin));
    }
    file.write(begin, together, options.durable);
  }
};

}  // namespace

void write_tensors(const Plan& plan, const Weights& source, const os::OutputFile& file, const WriteOptions& options) {
  Writing writing{source, file, options};
  const std::span<const Placed> placed(plan.tensors);
  const std::vector<Block> blocks =
      cut_blocks(static_cast<uint32_t>(placed.size()), [&](uint32_t i) { return writing.cut(placed[i]); });
  Meter meter(options.progress, "write", options.file, plan.tensor_bytes);
  parallel_for(blocks.size(), options.threads, [&](uint64_t i) {
    const Block& block = blocks[i];
    const std::span<const Placed> batch = placed.subspan(block.first, block.count);
    if (block.count == 1) {
      writing.write_piece(batch[0], block);
      if (options.written) options.written(batch[0].tensor, block.begin, block.end);
    } else {
      writing.write_batch(batch);
      for (const Placed& one : batch)
        if (options.written) options.written(one.tensor, 0, one.end - one.begin);
    }
    meter.add(block.end - block.begin);
  });
}

}  // namespace depickle::convert
