// The limit on the disk space of downloads and results.
#pragma once

#include <atomic>
#include <filesystem>
#include <mutex>
#include <string_view>

#include "server/page/jobs.h"
#include "server/page/settings.h"

namespace depickle::server::page {

/// Deletes old jobs with their files; then, until the rest fits, the downloads that were not used for longest, the
/// files of the oldest jobs, and the oldest jobs with their tables in the database. The downloads of a repository stay
/// while a job of it runs. A download or result that was used in the last hour stays, because it may be used again.
class DiskQuota {
 public:
  DiskQuota(const Settings& settings, Jobs& jobs) : settings_(settings), jobs_(jobs) {}

  /// Safe to use from several threads.
  void apply();
  /// Size of downloads, results and the database at the last apply().
  uint64_t used_bytes() const noexcept { return used_bytes_; }

 private:
  /// Returns false if a running job uses the folder, or it cannot be renamed.
  bool delete_download(const std::filesystem::path& folder);
  std::filesystem::path deleted_folder() const;
  /// Removes folders that were renamed to be deleted, also by an earlier process.
  void remove_deleted() const;

  const Settings& settings_;
  Jobs& jobs_;
  std::mutex apply_mutex_;
  std::atomic<uint64_t> used_bytes_ = 0;
};

}  // namespace depickle::server::page
