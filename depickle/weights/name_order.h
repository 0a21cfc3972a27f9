// Order of tensors by name. Private to the module.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "depickle/base/tensor.h"

namespace depickle::weights {

/// Returns the indices of `tensors`, sorted by name.
inline std::vector<uint32_t> sorted_by_name(std::span<const Tensor> tensors) {
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, {}, [&](uint32_t index) { return tensors[index].name; });
  return order;
}

}  // namespace depickle::weights
