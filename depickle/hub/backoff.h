// When to try again.
#pragma once

#include <chrono>

#include "depickle/base/error.h"
#include "depickle/hub/settings.h"

namespace depickle::hub {

/// Returns whether an HTTP status is worth a retry: 408, 429, 500, 502, 503 and 504.
bool is_transient(int status) noexcept;

/// The waits of one request: doubled each time, without chance, a server's own wish first.
class Backoff {
 public:
  explicit Backoff(const Settings& settings) : settings_(settings), wait_(settings.patience.first_wait) {}

  /// Whether to try again after `error`; where so, it has waited. Throws Error{cancelled}.
  bool again(const Error& error);
  /// There was progress: what comes is counted afresh.
  void reset();

 private:
  const Settings& settings_;
  unsigned tries_ = 0;
  std::chrono::milliseconds wait_, waited_{0};
};

}  // namespace depickle::hub
