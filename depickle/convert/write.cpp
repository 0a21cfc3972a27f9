#include "depickle/convert/write.h"

#include <algorithm>

#include "depickle/convert/blocks.h"

namespace depickle::convert {
namespace {

struct TensorWriter {
  const Weights& source;
  const os::OutputFile& file;
  const WriteOptions& options;
  Buffers buffers = Buffers(options.threads);

  const Tensor& tensor(const TensorPlacement& placed) const { return source.tensors()[placed.tensor]; }

  Cut cut(const TensorPlacement& placed) const {
    const uint64_t piece = piece_bytes(tensor(placed), buffers);
    return {placed.end - placed.begin, piece, tensor(placed).is_contiguous() ? placed.begin : 0};
  }

  void write_piece(const TensorPlacement& placed, const Block& block) {
    Buffers::Lease lease(buffers);
    file.write(placed.begin + block.begin,
        logical_bytes(source, tensor(placed), block.begin, block.end - block.begin, lease), options.durable);
  }

  // Writes small adjacent tensors with one call.
  void write_batch(std::span<const TensorPlacement> batch) {
    Buffers::Lease lease(buffers);
    const uint64_t begin = batch.front().begin;
    MutableBytes buffer = lease.bytes(batch.back().end - begin);
    for (const TensorPlacement& placed : batch) {
      if (placed.begin != placed.end)
        source.read(tensor(placed), 0, buffer.subspan(placed.begin - begin, placed.end - placed.begin));
    }
    file.write(begin, buffer, options.durable);
  }
};

}  // namespace

void write_tensors(
    const ConversionPlan& plan, const Weights& source, const os::OutputFile& file, const WriteOptions& options) {
  TensorWriter writer{source, file, options};
  const std::span<const TensorPlacement> placed(plan.tensors);
  const std::vector<Block> blocks =
      cut_blocks(static_cast<uint32_t>(placed.size()), [&](uint32_t i) { return writer.cut(placed[i]); });
  ProgressMeter meter(options.progress, "write", options.file, plan.tensor_bytes);
  parallel_for(blocks.size(), options.threads, [&](uint64_t i) {
    const Block& block = blocks[i];
    const std::span<const TensorPlacement> batch = placed.subspan(block.first, block.count);
    if (block.count == 1) {
      writer.write_piece(batch[0], block);
      if (options.written) options.written(batch[0].tensor, block.begin, block.end);
    } else {
      writer.write_batch(batch);
      for (const TensorPlacement& one : batch)
        if (options.written) options.written(one.tensor, 0, one.end - one.begin);
    }
    meter.add(block.end - block.begin);
  });
}

}  // namespace depickle::convert
