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
/// as long. Choose a size at which quadratic work would take seconds. Times below 50 ms count as 50 ms. Measures again
/// if another program may have disturbed the times.
template <typename Work>
void expect_linear(size_t size, Work&& work) {
  double once = 0, twice = 0;
  for (int attempt = 0; attempt < 3; ++attempt) {
    once = std::max(cpu_seconds([&] { work(size); }), 0.05);
    twice = cpu_seconds([&] { work(2 * size); });
    if (twice < 3 * once) return;
  }
  ADD_FAILURE() << "twice the input took " << twice << " s instead of " << once << " s";
}

}  // namespace depickle
