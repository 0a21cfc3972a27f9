// What is kept on the disk, and for how long.
#pragma once

#include <functional>
#include <mutex>
#include <string_view>

#include "server/page/jobs.h"
#include "server/page/settings.h"

namespace depickle::server::page {

/// Makes room: old jobs with their files, then downloads that were used longest ago, then the files of the oldest jobs, until everything
/// fits. A repository that was used in the last hour stays, for somebody may be at work with it.
class DiskQuota {
 public:
  DiskQuota(const Settings& settings, Jobs& jobs) : settings_(settings), jobs_(jobs) {}

  /// Safe to use from several threads.
  void tidy();
  /// Of downloads and results, when it was last counted.
  uint64_t used_bytes() const noexcept { return used_bytes_; }

 private:
  const Settings& settings_;
  Jobs& jobs_;
  std::mutex one_at_a_time_;
  std::atomic<uint64_t> used_bytes_ = 0;
};

}  // namespace depickle::server::page
