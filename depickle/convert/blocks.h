// Divides tensors into blocks of at most a few megabytes, with a pool of buffers and a progress counter.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/base/progress.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {

/// One unit of work: bytes [begin, end) of one tensor, or several small tensors completely.
struct Block {
  uint32_t first;  ///< index of the first tensor
  uint32_t count;  ///< number of tensors
  uint64_t begin;  ///< offset in the tensor's logical bytes; 0 if count is more than 1
  uint64_t end;    ///< if count is more than 1: the total size of the tensors
};

/// Small tensors share a block up to this size.
inline constexpr uint64_t kBatchBytes = uint64_t{1} << 20;

/// How to divide one tensor if it is larger than kBatchBytes.
struct Cut {
  uint64_t size_bytes;
  uint64_t piece_bytes;  ///< not 0; a multiple of the dtype's unit_bytes(), and of 8 if file_offset is not 0
  /// The tensor's offset in a file: pieces end where the file offset is a multiple of piece_bytes.
  uint64_t file_offset = 0;
};

/// Divides tensors 0 to `count` - 1, in order. Throws Error{limit} if Cut::piece_bytes is 0.
std::vector<Block> cut_blocks(uint32_t count, const std::function<Cut(uint32_t)>& cut_of);

/// A pool of buffers shared by several threads: it allocates only as many as are in use at once. Pages that were never
/// written take no memory.
class Buffers {
 public:
  /// Each buffer has 16 MiB / `threads`, at least kBatchBytes and at most 8 MiB.
  explicit Buffers(unsigned threads);
  uint64_t each_bytes() const noexcept { return each_bytes_; }

  /// Returns its buffer to the pool when it is destroyed. The pool must outlive it.
  class Lease {
   public:
    explicit Lease(Buffers& buffers) noexcept : buffers_(buffers) {}
    ~Lease();
    Lease(const Lease&) = delete;
    /// The first call takes a buffer from the pool. Throws Error{limit} if `size_bytes` is more than each_bytes().
    MutableBytes bytes(uint64_t size_bytes);

   private:
    Buffers& buffers_;
    std::unique_ptr<std::byte[]> memory_;
  };

 private:
  uint64_t each_bytes_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<std::byte[]>> free_;
};

/// Returns the logical bytes [begin, begin + length) of a tensor: a view of the source if it is local and contiguous,
/// else gathered into the lease's buffer.
Bytes logical_bytes(
    const Weights& weights, const Tensor& tensor, uint64_t begin, uint64_t length, Buffers::Lease& lease);
/// Returns the piece size for the tensor's layout.
uint64_t piece_bytes(const Tensor& tensor, const Buffers& buffers) noexcept;

/// Reports the progress of the work on one file. Thread-safe.
class ProgressMeter {
 public:
  ProgressMeter(const Progress& progress, std::string_view phase, std::string_view file, uint64_t total_bytes)
      : progress_(progress),
        step_{phase, file, 0, total_bytes} {}
  /// Throws what the listener throws to cancel the work.
  void add(uint64_t bytes);

 private:
  const Progress& progress_;
  std::mutex mutex_;
  Step step_;
};

}  // namespace depickle::convert
