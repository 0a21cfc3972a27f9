// From the reports of single files to the progress of a job.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "depickle/base/progress.h"
#include "server/page/job.h"

namespace depickle::server::page {

/// Adds up the files of each phase, measures the rate, and says so at most 10 times a second. Not for several threads.
class Meter {
 public:
  using Clock = std::chrono::steady_clock;
  Meter(std::function<void(std::string_view)> enter, std::function<void(const Measure&)> say)
      : enter_(std::move(enter)),
        say_(std::move(say)) {}

  /// So many bytes are in the files that will be read: what a phase comes to before all of its files are known.
  void expect(uint64_t bytes) { expected_bytes_ = bytes; }
  /// A phase begins; one that is on already goes on.
  void enter(std::string_view phase);
  void report(const Step& step, Clock::time_point now);

 private:
  struct Amount {
    uint64_t done_bytes, total_bytes;
  };
  std::function<void(std::string_view)> enter_;
  std::function<void(const Measure&)> say_;
  uint64_t expected_bytes_ = 0;
  std::string phase_;
  std::string step_phase_;                            ///< the step's own word
  std::map<std::string, Amount, std::less<>> files_;  ///< of step_phase_
  uint64_t done_bytes_ = 0, total_bytes_ = 0;
  Clock::time_point began_, said_;
};

/// The phase of the page that a step's word belongs to: "write" → "convert".
std::string_view phase_of(std::string_view step_phase);

}  // namespace depickle::server::page
