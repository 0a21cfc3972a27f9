// Tensors cut into pieces of work of a few megabytes, the buffers for them, and the counting of what is done.
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

/// One piece of work: the bytes [begin, end) of one tensor, or several small tensors as a whole.
struct Block {
  uint32_t first;  ///< index of the tensor
  uint32_t count;  ///< tensors
  uint64_t begin;  ///< of the logical bytes, where count is 1; else 0
  uint64_t end;    ///< bytes of all tensors, where count is more than 1
};

/// Small tensors go together until they have this many bytes.
inline constexpr uint64_t kBatchBytes = uint64_t{1} << 20;

/// How one tensor is cut where it has more than kBatchBytes.
struct Cut {
  uint64_t size_bytes;
  uint64_t piece_bytes;  ///< a multiple of 8
  /// Where it lies in a file: pieces then end where the file's offset is a multiple of piece_bytes.
  uint64_t begin_byte = 0;
};

/// Cuts tensors 0 to `count`, in order. Pieces begin at multiples of 8 bytes of their tensor.
std::vector<Block> cut_blocks(uint32_t count, const std::function<Cut(uint32_t)>& cut_of);

/// Buffers that pass from thread to thread, so that there are never more than are used at once. Pages that nobody wrote to take
/// no memory.
class Buffers {
 public:
  /// So many bytes for each of `threads` that all of them together stay at 16 MiB; kBatchBytes at least.
  explicit Buffers(unsigned threads);
  uint64_t each_bytes() const noexcept { return each_bytes_; }

  /// Comes back to its Buffers, which must still be there, when it goes out of scope.
  class Lease {
   public:
    explicit Lease(Buffers& buffers) noexcept : buffers_(buffers) {}
    ~Lease();
    Lease(const Lease&) = delete;
    /// The first call takes the memory.
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

/// Logical bytes [begin, begin + length) of a tensor: where they lie, or gathered into the lease's buffer.
Bytes logical_bytes(
    const Weights& weights, const Tensor& tensor, uint64_t begin, uint64_t length, Buffers::Lease& lease);
/// The size of pieces that suits the tensor's layout.
uint64_t piece_bytes(const Tensor& tensor, const Buffers& buffers) noexcept;

/// Tells a Progress how far the work on one file is. From several threads.
class Meter {
 public:
  Meter(const Progress& progress, std::string_view phase, std::string_view file, uint64_t total_bytes)
      : progress_(progress),
        step_{phase, file, 0, total_bytes} {}
  /// Throws what the listener throws to stop the work.
  void add(uint64_t bytes);

 private:
  const Progress& progress_;
  std::mutex mutex_;
  Step step_;
};

}  // namespace depickle::convert
