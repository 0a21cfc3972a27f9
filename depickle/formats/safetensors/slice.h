// Parts of a tensor, by Python's rules of indexing: which bytes they are, and nothing but those is read.
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

/// start:stop:step. Absent, negative and far-off bounds mean what they mean in Python; step is not 0.
struct Range {
  std::optional<int64_t> start, stop;
  int64_t step = 1;
};
/// "...": as many whole dimensions as are left; at most one in an index.
struct Ellipsis {};
/// An integer takes its dimension away; a negative one counts from the end.
using IndexItem = std::variant<int64_t, Range, Ellipsis>;

/// Bytes [begin, end) from the first byte of the tensor.
struct ByteRange {
  uint64_t begin, end;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// x[items] of a tensor in C order. Knows dtype and shape only; holds a few words for each dimension.
class Slice {
 public:
  /// `shape` is that of a valid tensor (its size fits 64 bits). Dimensions without an item are taken whole.
  /// Throws Error{not_found} for an integer out of range or more items than dimensions; Error{malformed} for a step of 0 or a
  /// second ellipsis; Error{unsupported} where parts of a sub-byte dtype do not begin and end on bytes.
  static Slice of(Dtype dtype, std::span<const uint64_t> shape, std::span<const IndexItem> items);

  /// Of the result.
  std::span<const uint64_t> shape() const noexcept { return shape_; }
  uint64_t size_bytes() const noexcept { return size_bytes_; }

  /// The byte ranges whose bytes, one behind the other, are the result: as few as there can be, made one at a time.
  class Ranges {
   public:
    explicit Ranges(const Slice& slice);
    /// Empty at the end.
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
  Ranges ranges() && = delete;  // they look into the Slice

  /// Copies the result to `out`, which has size_bytes(). `tensor` holds all bytes of the tensor; of a mapped file only the pages
  /// of the ranges are touched.
  void read(Bytes tensor, MutableBytes out) const;
  /// The same from a tensor that begins at `offset` of `source`; only the ranges are asked of it.
  void read(const ByteSource& source, uint64_t offset, MutableBytes out) const;

 private:
  // A dimension that is not part of a run: `count` > 1 positions, `step_bytes` apart; negative steps count modulo 2^64.
  struct Dimension {
    uint64_t count, step_bytes;
  };
  Slice() = default;

  std::vector<uint64_t> shape_;
  uint64_t size_bytes_ = 0;
  std::vector<Dimension> outer_;
  uint64_t begin_ = 0;      ///< of the first run
  uint64_t run_bytes_ = 0;  ///< bytes that lie together
};

}  // namespace depickle::safetensors
