#include "server/jobs/meter.h"

#include <gmock/gmock.h>

namespace depickle::server::jobs {
namespace {

using std::chrono::milliseconds;

TEST(Meter, AddsUpFilesAndReportsTenTimesPerSecond) {
  std::vector<JobProgress> reported;
  std::vector<std::string> phases;
  Meter meter([&](std::string_view phase) { phases.emplace_back(phase); },
      [&](const JobProgress& m) { reported.push_back(m); });
  meter.expect(100);
  Meter::Clock::time_point now{std::chrono::hours(1)};
  for (uint64_t done = 0; done <= 50; ++done, now += std::chrono::milliseconds(10))
    meter.report({"write", "a", done, 50}, now);
  meter.report({"write", "b", 25, 50}, now + milliseconds(90));
  EXPECT_THAT(phases, testing::ElementsAre("convert"));
  EXPECT_LE(reported.size(), 7u);
  EXPECT_EQ(reported.back().done_bytes, 75u);
  EXPECT_EQ(reported.back().total_bytes, 100u);
  EXPECT_NEAR(reported.back().bytes_per_second, 125, 1);
  EXPECT_NEAR(reported.back().seconds_left.value(), 0.2, 0.01);
}

}  // namespace
}  // namespace depickle::server::jobs
