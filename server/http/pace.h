// The minimum rate of a body.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace depickle::server::http {

/// How long the server waits for a client that sends or reads a body. Each wait uses up time, and each byte earns the
/// time that it takes at the minimum rate. The client never has more time than `stall`, so one that is fast first
/// and slow afterwards does not last longer. Time that the server itself needs does not count.
class Pace {
 public:
  using Duration = std::chrono::steady_clock::duration;
  Pace(Duration stall, uint64_t min_bytes_per_second)
      : stall_(stall),
        allowed_(stall),
        min_bytes_per_second_(min_bytes_per_second) {}

  /// Returns how long the server waits for the next byte.
  Duration allowed() const { return allowed_; }
  void waited(Duration time) { allowed_ = std::max(Duration::zero(), allowed_ - time); }
  void moved(uint64_t bytes) {
    std::chrono::duration<double> earned(static_cast<double>(bytes) / static_cast<double>(min_bytes_per_second_));
    allowed_ = earned >= stall_ ? stall_ : std::min(stall_, allowed_ + std::chrono::duration_cast<Duration>(earned));
  }

 private:
  Duration stall_, allowed_;
  uint64_t min_bytes_per_second_;
};

}  // namespace depickle::server::http
