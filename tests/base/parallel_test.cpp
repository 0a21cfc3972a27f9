#include "depickle/base/parallel.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "depickle/base/error.h"

namespace depickle {
namespace {

TEST(ParallelFor, CallsEachOnceOnAnyNumberOfThreads) {
  for (unsigned threads : {0u, 1u, 3u, 64u}) {
    std::vector<std::atomic<int>> calls(1000);
    parallel_for(calls.size(), threads, [&](uint64_t i) { ++calls[i]; });
    for (auto& count : calls) ASSERT_EQ(count, 1) << threads << " threads";
  }
  parallel_for(0, 4, [](uint64_t) { FAIL(); });
}

TEST(ParallelFor, OneThreadIsTheCallersAndInOrder) {
  std::vector<uint64_t> seen;
  auto here = std::this_thread::get_id();
  parallel_for(5, 1, [&](uint64_t i) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    seen.push_back(i);
  });
  EXPECT_EQ(seen, (std::vector<uint64_t>{0, 1, 2, 3, 4}));
}

TEST(ParallelFor, TheFirstExceptionStopsTheLoop) {
  for (unsigned threads : {1u, 4u}) {
    std::atomic<uint64_t> calls = 0;
    auto run = [&] {
      parallel_for(1'000'000, threads, [&](uint64_t i) {
        ++calls;
        if (i == 3) throw Error(Code::cancelled, "", "stopped");
      });
    };
    EXPECT_THROW(run(), Error);
    EXPECT_LT(calls, 1'000'000u);
  }
}

TEST(DefaultThreads, AreFromOneToEight) {
  EXPECT_GE(default_threads(), 1u);
  EXPECT_LE(default_threads(), 8u);
}

}  // namespace
}  // namespace depickle
