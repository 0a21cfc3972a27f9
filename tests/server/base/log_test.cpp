#include "server/base/log.h"

#include <latch>
#include <mutex>
#include <vector>

#include <gmock/gmock.h>

namespace depickle::server {
namespace {

TEST(Log, WritesTheLinesInOrder) {
  std::vector<std::string> lines;
  {
    Log log([&](std::string_view line) { lines.emplace_back(line); });
    for (const char* line : {"a", "b", "c"}) log.add(line);
  }
  EXPECT_THAT(lines, testing::ElementsAre("a", "b", "c"));
}

TEST(Log, AReaderThatStopsDelaysNobodyAndLearnsHowManyLinesWereDropped) {
  std::vector<std::string> lines;
  std::latch first(1), released(1);
  {
    Log log([&](std::string_view line) {
      if (lines.empty()) {
        first.count_down();
        released.wait();
      }
      lines.emplace_back(line);
    });
    log.add("first");
    first.wait();
    for (int i = 0; i < 10'005; ++i) log.add("more");
    released.count_down();
  }
  ASSERT_EQ(lines.size(), 10'002u);
  EXPECT_EQ(lines.back(), "the log is too slow: 5 lines dropped");
}

}  // namespace
}  // namespace depickle::server
