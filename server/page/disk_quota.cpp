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
  std::error_code ignored;
  for (const std::string& id : jobs_.remove_old()) fs::remove_all(job_folder(settings_, id), ignored);
  std::vector<Folder> downloads = folders_in(settings_.data / "app" / "cache");
  std::vector<Folder> results = folders_in(settings_.data / "app" / "jobs");
  uint64_t used = 0;
  for (const Folder& folder : downloads) used += folder.bytes;
  for (const Folder& folder : results) used += folder.bytes;
  const auto an_hour_ago = Time::clock::now() - std::chrono::hours(1);
  auto make_room = [&](const Folder& folder, auto&& may_delete) {
    if (used <= settings_.limits.disk_bytes || !may_delete(folder)) return;
    fs::remove_all(folder.path, ignored);
    used -= folder.bytes;
    settings_.log(
        fmt::format("disk quota: deleted {} ({})", folder.path.filename().string(), human_bytes(folder.bytes)));
  };
  for (const Folder& folder : downloads)
    make_room(
        folder, [&](const Folder& f) { return f.used < an_hour_ago && !f.path.filename().string().starts_with('.'); });
  for (const Folder& folder : results)
    make_room(folder, [&](const Folder& f) {
      const auto job = jobs_.find(f.path.filename().string());
      return !job || (job->has_ended() && f.used < an_hour_ago);
    });
  used_bytes_ = used;
}

}  // namespace depickle::server::page
