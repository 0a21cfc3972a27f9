// Tests that work does not grow faster than the input.
#pragma once

#include <algorithm>
#include <ctime>

#include <gtest/gtest.h>

namespace depickle {

/// Returns the processor seconds of a call.
template <typename Action>
double cpu_seconds(Action&& action) {
  const std::clock_t begin = std::clock();
  action();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

/// Expects that `work(2 * size)` takes less than three times as long as `work(size)`: quadratic work takes four times
/// as long. Choose a size at which quadratic work would take minutes. Times below 50 ms count as 50 ms.
template <typename Work>
void expect_linear(size_t size, Work&& work) {
  const double once = cpu_seconds([&] { work(size); });
  const double twice = cpu_seconds([&] { work(2 * size); });
  EXPECT_LT(twice, 3 * std::max(once, 0.05)) << "the input of half the size took " << once << " s";
}

}  // namespace depickle
