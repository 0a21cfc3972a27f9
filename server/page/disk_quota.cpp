#include "server/page/disk_quota.h"

#include <algorithm>
#include <chrono>
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/page/runner.h"

namespace depickle::server::page {
namespace {

namespace fs = std::filesystem;
using Time = fs::file_time_type;

constexpr uint64_t kJobsAtOnce = 20;

struct Folder {
  fs::path path;
  uint64_t bytes = 0;
  Time used;
};

/// Returns the size of a folder and the time of its last change. Ignores files that disappear meanwhile.
Folder measure_folder(const fs::path& path) {
  std::error_code none;
  Folder folder{.path = path, .used = Time::min()};
  for (auto at = fs::recursive_directory_iterator(path, none); at != fs::recursive_directory_iterator();
      at.increment(none)) {
    if (none) break;
    std::error_code gone;
    if (at->is_symlink(gone)) continue;
    folder.used = std::max(folder.used, at->last_write_time(gone));
    if (at->is_regular_file(gone)) folder.bytes += at->file_size(gone);
  }
  return folder;
}

std::vector<Folder> folders_in(const fs::path& parent) {
  std::error_code none;
  std::vector<Folder> folders;
  for (const auto& entry : fs::directory_iterator(parent, none))
    if (entry.is_directory(none)) folders.push_back(measure_folder(entry.path()));
  std::ranges::sort(folders, {}, &Folder::used);
  return folders;
}

}  // namespace

void DiskQuota::apply() {
  std::scoped_lock lock(apply_mutex_);
  const fs::path cache = cache_folder(settings_);
  remove_deleted();
  std::error_code ignored;
  for (const std::string& id : jobs_.remove_old()) fs::remove_all(job_folder(settings_, id), ignored);
  std::vector<Folder> downloads = folders_in(cache);
  std::vector<Folder> results = folders_in(settings_.data / "app" / "jobs");
  uint64_t database = jobs_.database_bytes(), used = database;
  for (const Folder& folder : downloads) used += folder.bytes;
  for (const Folder& folder : results) used += folder.bytes;
  const auto an_hour_ago = Time::clock::now() - std::chrono::hours(1);
  auto is_over = [&] { return used > settings_.limits.disk_bytes; };
  auto count_deleted = [&](const Folder& folder) {
    used -= folder.bytes;
    settings_.log(
        fmt::format("disk quota: deleted {} ({})", folder.path.filename().string(), human_bytes(folder.bytes)));
  };
  for (const Folder& folder : downloads) {
    const std::string name = folder.path.filename().string();
    if (is_over() && folder.used < an_hour_ago && !name.starts_with('.') && delete_download(folder.path))
      count_deleted(folder);
  }
  for (const Folder& folder : results) {
    const auto job = jobs_.find(folder.path.filename().string());
    if (!is_over() || (job && !(job->has_ended() && folder.used < an_hour_ago))) continue;
    fs::remove_all(folder.path, ignored);
    count_deleted(folder);
  }
  // The tensor tables of old jobs. The pages are free after several calls if clients read them meanwhile.
  while (is_over()) {
    const std::vector<std::string> oldest = jobs_.remove_oldest(kJobsAtOnce);
    for (const std::string& id : oldest) fs::remove_all(job_folder(settings_, id), ignored);
    used -= database;
    database = jobs_.database_bytes();
    used += database;
    if (oldest.empty()) break;
    settings_.log(fmt::format("disk quota: deleted {}", plural(oldest.size(), "job")));
  }
  used_bytes_ = used;
}

bool DiskQuota::delete_download(const fs::path& folder) {
  // A job that starts after the rename downloads the files again.
  std::error_code failed;
  const fs::path deleted = deleted_folder() / folder.filename();
  const bool is_unused = jobs_.unless_cache_folder_is_used(folder.filename().string(), [&] {
    fs::create_directories(deleted_folder(), failed);
    if (!failed) fs::rename(folder, deleted, failed);
  });
  if (!is_unused || failed) return false;
  remove_deleted();
  return true;
}

fs::path DiskQuota::deleted_folder() const { return settings_.data / "app" / "deleted"; }

void DiskQuota::remove_deleted() const {
  std::error_code ignored;
  fs::remove_all(deleted_folder(), ignored);
}

}  // namespace depickle::server::page
