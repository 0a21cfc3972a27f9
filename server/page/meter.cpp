#include "server/page/meter.h"

#include <algorithm>

namespace depickle::server::page {
namespace {

constexpr std::chrono::milliseconds kPause{100};

/// Of these, the bytes to read say nothing.
bool is_sending(std::string_view step_phase) { return step_phase == "upload" || step_phase == "commit"; }

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
  enter_(phase);
}

void Meter::report(const Step& step, Clock::time_point now) {
  if (step.phase != step_phase_) {
    enter(phase_of(step.phase));
    step_phase_ = step.phase;
    files_.clear();
    done_bytes_ = total_bytes_ = 0;
    began_ = now;
    said_ = {};
  }
  auto [at, is_new] = files_.try_emplace(std::string(step.file), Amount{0, 0});
  done_bytes_ += step.done_bytes - at->second.done_bytes;
  total_bytes_ += step.total_bytes - at->second.total_bytes;
  at->second = {step.done_bytes, step.total_bytes};
  const bool is_whole = step.done_bytes == step.total_bytes;
  if (now - said_ < kPause && !(is_whole && is_new)) return;
  said_ = now;
  Measure measure{.phase = phase_, .file = std::string(step.file), .done_bytes = done_bytes_};
  measure.total_bytes = std::max({total_bytes_, done_bytes_, is_sending(step.phase) ? 0 : expected_bytes_});
  const double seconds = std::chrono::duration<double>(now - began_).count();
  if (seconds > 0.2) measure.bytes_per_second = static_cast<double>(done_bytes_) / seconds;
  if (measure.bytes_per_second > 0)
    measure.seconds_left = static_cast<double>(measure.total_bytes - measure.done_bytes) / measure.bytes_per_second;
  say_(measure);
}

}  // namespace depickle::server::page
