#include "server/jobs/meter.h"

#include <algorithm>

namespace depickle::server::jobs {
namespace {

constexpr std::chrono::milliseconds kReportInterval{100};

/// The size of the files to read is not the total of these phases.
bool is_upload(std::string_view step_phase) { return step_phase == "upload" || step_phase == "commit"; }

}  // namespace

std::string_view phase_of(std::string_view step_phase) {
  if (step_phase == "write") return "convert";
  if (step_phase == "check") return "read";  // the source's own checksums
  if (step_phase == "commit") return "pull request";
  if (step_phase == "hash" || step_phase == "verify") return "compare";
  return step_phase;
}

void Meter::enter(std::string_view phase) {
  if (phase == phase_) return;
  phase_ = phase;
  on_phase_(phase);
}

void Meter::report(const Step& step, Clock::time_point now) {
  if (step.phase != step_phase_) {
    enter(phase_of(step.phase));
    step_phase_ = step.phase;
    files_.clear();
    done_bytes_ = total_bytes_ = 0;
    started_ = now;
    reported_ = {};
  }
  auto [at, is_new] = files_.try_emplace(std::string(step.file), Amount{0, 0});
  done_bytes_ += step.done_bytes - at->second.done_bytes;
  total_bytes_ += step.total_bytes - at->second.total_bytes;
  at->second = {step.done_bytes, step.total_bytes};
  const bool is_whole = step.done_bytes == step.total_bytes;
  if (now - reported_ < kReportInterval && !(is_whole && is_new)) return;
  reported_ = now;
  JobProgress progress{.phase = phase_, .file = std::string(step.file), .done_bytes = done_bytes_};
  progress.total_bytes = std::max({total_bytes_, done_bytes_, is_upload(step.phase) ? 0 : expected_bytes_});
  const double seconds = std::chrono::duration<double>(now - started_).count();
  if (seconds > 0.2) progress.bytes_per_second = static_cast<double>(done_bytes_) / seconds;
  if (progress.bytes_per_second > 0)
    progress.seconds_left = static_cast<double>(progress.total_bytes - progress.done_bytes) / progress.bytes_per_second;
  on_progress_(progress);
}

}  // namespace depickle::server::jobs
