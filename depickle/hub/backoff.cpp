#include "depickle/hub/backoff.h"

#include <algorithm>
#include <thread>

#include "depickle/hub/failure.h"
#include "depickle/hub/transfer.h"

namespace depickle::hub {

using std::chrono::milliseconds;

bool is_transient(int status) noexcept {
  return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

bool Backoff::wait_after(const Error& error) {
  const RetryPolicy& policy = settings_.retry_policy;
  const auto* failure = dynamic_cast<const Failure*>(&error);
  const bool is_retryable =
      failure ? is_transient(failure->status()) : dynamic_cast<const ConnectionError*>(&error) != nullptr;
  if (!is_retryable || retries_ >= policy.max_retries) return false;
  milliseconds wait = wait_;
  if (failure && failure->retry_after()) wait = *failure->retry_after();
  if (wait > policy.max_total_wait - total_wait_) return false;
  ++retries_;
  total_wait_ += wait;
  wait_ = std::min(wait_ * 2, policy.max_wait);

  const auto end = std::chrono::steady_clock::now() + wait;
  for (auto now = end - wait; now < end; now = std::chrono::steady_clock::now()) {
    if (settings_.check_cancelled) settings_.check_cancelled();
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(end - now, milliseconds(100)));
  }
  return true;
}

void Backoff::reset() {
  retries_ = 0;
  wait_ = settings_.retry_policy.first_wait;
}

}  // namespace depickle::hub
