// Slices of a tensor by Python's indexing rules: the byte ranges of a slice, and reading only those.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/base/dtype.h"
#include "depickle/base/source.h"

namespace depickle::safetensors {

/// start:stop:step. Absent, negative and out-of-range bounds have the same meaning as in Python; step is not 0.
struct Range {
  std::optional<int64_t> start, stop;
  int64_t step = 1;
};
/// "...": all dimensions that have no item of their own; at most one in an index.
struct Ellipsis {};
/// An integer removes its dimension; a negative one counts from the end.
using IndexItem = std::variant<int64_t, Range, Ellipsis>;

/// Bytes [begin, end) from the first byte of the tensor.
struct ByteRange {
  uint64_t begin, end;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// x[items] of a tensor in C order. Depends on dtype and shape only; stores a few numbers for each dimension.
class Slice {
 public:
  /// `shape` belongs to a valid tensor (its size fits 64 bits). Dimensions without an item are taken whole.
  /// Throws Error{not_found} if an integer is out of range or there are more items than dimensions; Error{malformed} if
  /// a step is 0 or there is a second ellipsis; Error{unsupported} if a part of a sub-byte dtype does not begin and end
  /// on byte boundaries.
  static Slice of(Dtype dtype, std::span<const uint64_t> shape, std::span<const IndexItem> items);

  /// Shape of the result.
  std::span<const uint64_t> shape() const noexcept { return shape_; }
  /// Size of the result.
  uint64_t size_bytes() const noexcept { return size_bytes_; }

  /// The byte ranges that make up the result, in order: the minimum number of ranges, computed one at a time.
  class Ranges {
   public:
    explicit Ranges(const Slice& slice);
    /// Returns the next range, or nullopt at the end.
    std::optional<ByteRange> next();

   private:
    std::optional<ByteRange> next_run();
    const Slice& slice_;
    std::vector<uint64_t> position_;  ///< in the outer dimensions
    uint64_t begin_;                  ///< of the run at position_
    bool ended_;
    std::optional<ByteRange> ahead_;
  };
  Ranges ranges() const& { return Ranges(*this); }
  Ranges ranges() && = delete;  // Ranges refer to the Slice

  /// Copies the result to `out`, whose size is size_bytes(). `tensor` contains all bytes of the tensor; in a mapped
  /// file only the pages of the ranges are read.
  void read(Bytes tensor, MutableBytes out) const;
  /// The same for a tensor that begins at `offset` of `source`; only the ranges are read from it.
  void read(const ByteSource& source, uint64_t offset, MutableBytes out) const;

 private:
  // A dimension that is not part of a run: `count` > 1 positions, `step_bytes` apart. Negative steps count modulo 2^64.
  struct Dimension {
    uint64_t count, step_bytes;
  };
  Slice() = default;

  std::vector<uint64_t> shape_;
  uint64_t size_bytes_ = 0;
  std::vector<Dimension> outer_;
  uint64_t begin_ = 0;      ///< of the first run
  uint64_t run_bytes_ = 0;  ///< size of one contiguous run
};

}  // namespace depickle::safetensors
