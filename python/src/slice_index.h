// What stands between the brackets of tensor_slice[...].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "depickle/formats/safetensors/slice.h"
#include "python/src/bind.h"

namespace depickle::python {

enum class Bounds {
  clamped,  ///< [:20] of 10 is all 10, as everywhere in Python
  checked,  ///< [:20] of 10 is an error, as in upstream's slices for numpy
};

/// An index of integers, slices, one ellipsis and None, checked against a shape.
class SliceIndex {
 public:
  /// Throws SafetensorError in upstream's words for what does not fit `shape`, and for what is none of these.
  static SliceIndex of(nb::handle index, std::span<const uint64_t> shape, Bounds bounds);

  /// Without None, for safetensors::Slice.
  std::span<const safetensors::IndexItem> items() const noexcept { return items_; }
  /// `taken`, the shape of what items() take, with a 1 for each None.
  std::vector<uint64_t> shape(std::span<const uint64_t> taken) const;
  /// Whether it takes one element of `rank` dimensions, leaving none.
  bool is_element(size_t rank) const noexcept;

 private:
  std::vector<safetensors::IndexItem> items_;
  std::vector<size_t> new_axes_;  ///< places in the result's shape, ascending
};

/// Whether the framework itself must index: lists, arrays and masks.
bool is_advanced(nb::handle index);
/// Whether there is a slice of negative step, which torch has no views of.
bool steps_back(nb::handle index);

}  // namespace depickle::python
