#include "depickle/convert/blocks.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/weights/gather.h"

namespace depickle::convert {

std::vector<Block> cut_blocks(uint32_t count, const std::function<Cut(uint32_t)>& cut_of) {
  constexpr uint32_t kMaxBatchTensors = 8192;  // limits a block of empty tensors
  std::vector<Block> blocks;
  for (uint32_t i = 0; i < count; ++i) {
    const auto [size, piece, file_offset] = cut_of(i);
    if (size > kBatchBytes) {
      if (piece == 0) throw Error(Code::limit, "", "a tensor cannot be divided into pieces of 0 bytes");
      for (uint64_t begin = 0; begin < size; begin = blocks.back().end)
        blocks.push_back({i, 1, begin, std::min(size, begin + piece - (file_offset / 8 * 8 + begin) % piece)});
      continue;
    }
    const bool fits_last = !blocks.empty() && blocks.back().begin == 0 &&
                           blocks.back().first + blocks.back().count == i && blocks.back().count < kMaxBatchTensors &&
                           blocks.back().end + size <= kBatchBytes;
    if (fits_last) {
      ++blocks.back().count;
      blocks.back().end += size;
    } else {
      blocks.push_back({i, 1, 0, size});
    }
  }
  return blocks;
}

Buffers::Buffers(unsigned threads)
    : each_bytes_(std::clamp<uint64_t>((16 << 20) / std::max(threads, 1u), kBatchBytes, 8 << 20)) {}

MutableBytes Buffers::Lease::bytes(uint64_t size_bytes) {
  if (size_bytes > buffers_.each_bytes_)
    throw Error(Code::limit, "",
        fmt::format("a buffer has {} bytes (need {})", grouped(buffers_.each_bytes_), grouped(size_bytes)));
  if (!memory_) {
    std::scoped_lock lock(buffers_.mutex_);
    if (!buffers_.free_.empty()) {
      memory_ = std::move(buffers_.free_.back());
      buffers_.free_.pop_back();
    }
  }
  if (!memory_) memory_ = std::make_unique_for_overwrite<std::byte[]>(buffers_.each_bytes_);
  return {memory_.get(), size_bytes};
}

Buffers::Lease::~Lease() {
  if (!memory_) return;
  std::scoped_lock lock(buffers_.mutex_);
  buffers_.free_.push_back(std::move(memory_));
}

Bytes logical_bytes(
    const Weights& weights, const Tensor& tensor, uint64_t begin, uint64_t length, Buffers::Lease& lease) {
  if (tensor.is_contiguous() && !weights.storage(tensor).source->is_remote())
    return weights.view(tensor).subspan(begin, length);
  MutableBytes out = lease.bytes(length);
  weights.read(tensor, begin, out);
  return out;
}

uint64_t piece_bytes(const Tensor& tensor, const Buffers& buffers) noexcept {
  return tensor.is_contiguous() ? kBatchBytes : weights::gather_block_bytes(tensor, buffers.each_bytes());
}

void ProgressMeter::add(uint64_t bytes) {
  if (!progress_) return;
  std::scoped_lock lock(mutex_);
  step_.done_bytes += bytes;
  progress_(step_);
}

}  // namespace depickle::convert
