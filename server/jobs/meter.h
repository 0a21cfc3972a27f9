// Combines the progress of single files into the progress of a job.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "depickle/base/progress.h"
#include "server/jobs/outcome.h"

namespace depickle::server::jobs {

/// Adds up the files of each phase and computes the rate. Reports at most 10 times per second. Not thread-safe.
class Meter {
 public:
  using Clock = std::chrono::steady_clock;
  Meter(std::function<void(std::string_view)> on_phase, std::function<void(const JobProgress&)> on_progress)
      : on_phase_(std::move(on_phase)),
        on_progress_(std::move(on_progress)) {}

  /// Sets the size of the files to read, which is the total of a phase until all its files are known.
  void expect(uint64_t bytes) { expected_bytes_ = bytes; }
  /// Begins a phase, unless it is the current one.
  void enter(std::string_view phase);
  void report(const Step& step, Clock::time_point now);

 private:
  struct Amount {
    uint64_t done_bytes, total_bytes;
  };
  std::function<void(std::string_view)> on_phase_;
  std::function<void(const JobProgress&)> on_progress_;
  uint64_t expected_bytes_ = 0;
  std::string phase_;
  std::string step_phase_;                            ///< the name that the step uses
  std::map<std::string, Amount, std::less<>> files_;  ///< of step_phase_
  uint64_t done_bytes_ = 0, total_bytes_ = 0;
  Clock::time_point started_, reported_;
};

/// Returns the phase of the page for the phase of a step: "convert" for "write".
std::string_view phase_of(std::string_view step_phase);

}  // namespace depickle::server::jobs
