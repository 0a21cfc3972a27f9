// Retries of one request.
#pragma once

#include <chrono>

#include "depickle/base/error.h"
#include "depickle/hub/settings.h"

namespace depickle::hub {

/// Returns whether an HTTP status is worth a retry: 408, 429, 500, 502, 503 and 504.
bool is_transient(int status) noexcept;

/// Exponential backoff without jitter. A wait that the server asks for takes precedence.
class Backoff {
 public:
  explicit Backoff(const Settings& settings) : settings_(settings), wait_(settings.retry_policy.first_wait) {}

  /// Waits and returns true if the request is to be sent again after `error`. Throws Error{cancelled}.
  bool wait_after(const Error& error);
  /// Resets the number of retries and the wait, after progress.
  void reset();

 private:
  const Settings& settings_;
  unsigned retries_ = 0;
  std::chrono::milliseconds wait_, total_wait_{0};
};

}  // namespace depickle::hub
