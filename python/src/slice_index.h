// Parses the index of tensor_slice[...].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "depickle/formats/safetensors/slice.h"
#include "python/src/bind.h"

namespace depickle::python {

enum class Bounds {
  clamped,  ///< [:20] of 10 elements is all 10, as in Python
  checked,  ///< [:20] of 10 elements is an error, as in upstream's slices for numpy
};

/// An index of integers, slices, one ellipsis and None, checked against a shape.
class SliceIndex {
 public:
  /// Throws SafetensorError with upstream's message if `index` does not fit `shape` or contains another type.
  static SliceIndex of(nb::handle index, std::span<const uint64_t> shape, Bounds bounds);

  /// The items without None, for safetensors::Slice.
  std::span<const safetensors::IndexItem> items() const noexcept { return items_; }
  /// Returns `taken`, the shape of the tensor that items() select, with a 1 for each None.
  std::vector<uint64_t> shape(std::span<const uint64_t> taken) const;
  /// Whether the index selects one element of a tensor with `rank` dimensions.
  bool is_element(size_t rank) const noexcept;

 private:
  std::vector<safetensors::IndexItem> items_;
  std::vector<size_t> new_axes_;  ///< positions in the result's shape, ascending
};

/// Whether the index contains arrays or masks, which the framework itself must index.
bool is_advanced(nb::handle index);
/// Whether the index contains a slice with a negative step, which torch views do not support.
bool steps_back(nb::handle index);

}  // namespace depickle::python
