#include "server/hub/content/upload_limits.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "server/hub/content/context.h"
#include "server/hub/content/trash.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::content {
namespace {

constexpr uint64_t kSmallBytes = 1 << 20;
constexpr uint64_t kMinReserveBytes = uint64_t{1} << 30;
constexpr uint64_t kReservePercent = 2;
constexpr auto kCacheTime = std::chrono::seconds(10);

void check_quota(uint64_t used_bytes, uint64_t bytes, uint64_t max_bytes, std::string_view what) {
  if (used_bytes <= max_bytes && bytes <= max_bytes - used_bytes) return;
  throw StoreError(StoreReason::over_quota, fmt::format("{} (have {}, the upload has {}, at most {})", what,
                                                human_bytes(used_bytes), human_bytes(bytes), human_bytes(max_bytes)));
}

void check_quotas(const StoreLimits& limits, uint64_t uncommitted_bytes, uint64_t total_bytes, uint64_t bytes) {
  check_quota(uncommitted_bytes, bytes, limits.uncommitted_bytes,
      "too many uploaded bytes of this user are in no commit: commit them, or wait until the Hub deletes them");
  if (limits.user_bytes)
    check_quota(total_bytes, bytes, *limits.user_bytes, "the storage limit of this user is exceeded");
}

}  // namespace

void UploadLimits::check(std::string_view user, uint64_t bytes) {
  check_space(bytes);
  const StoredBytes used = cached(user);
  check_quotas(context_.limits, used.uncommitted + used.xorbs, used.objects + used.xorbs, bytes);
}

void UploadLimits::check_shard(std::string_view user, uint64_t bytes) {
  check_space(bytes);
  const StoredBytes used = cached(user);
  check_quotas(context_.limits, used.uncommitted, used.objects, bytes);
}

StoredBytes UploadLimits::cached(std::string_view user) {
  const auto now = std::chrono::steady_clock::now();
  uint64_t commits = 0;
  {
    std::lock_guard lock(mutex_);
    if (auto found = cached_.find(user); found != cached_.end()) {
      if (now - found->second.at <= kCacheTime) return found->second.bytes;
      found->second.at = now;  // other requests use the old numbers meanwhile
    }
    commits = commits_;
  }
  const StoredBytes bytes = of(user);  // without the lock: it reads folders
  std::lock_guard lock(mutex_);
  // After a commit the numbers may be those of before it.
  if (commits == commits_) cached_.insert_or_assign(std::string(user), Cached{now, bytes});
  return bytes;
}

void UploadLimits::check_commit(std::string_view user, uint64_t bytes) {
  const StoredBytes used = cached(user);
  check_shard(user, bytes - std::min(bytes, used.uncommitted + used.xorbs));
}

void UploadLimits::stored_xorb(std::string_view user, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (auto found = cached_.find(user); found != cached_.end()) found->second.bytes.xorbs += bytes;
}

void UploadLimits::stored_object(std::string_view user, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (auto found = cached_.find(user); found != cached_.end()) {
    found->second.bytes.uncommitted += bytes;
    found->second.bytes.objects += bytes;
  }
}

void UploadLimits::committed() {
  std::lock_guard lock(mutex_);
  ++commits_;
  cached_.clear();
}

StoredBytes UploadLimits::of(std::string_view user) const {
  StoredBytes stored;
  context_.database->each(
      "SELECT COALESCE(SUM(o.size), 0), COALESCE(SUM(CASE WHEN EXISTS(SELECT 1 FROM repo_objects r WHERE r.oid = "
      "o.oid) THEN 0 ELSE o.size END), 0) FROM object_owners w JOIN objects o ON o.oid = w.oid WHERE w.user = ?",
      {user}, [&](const Row& row) {
        stored.objects = static_cast<uint64_t>(row.number(0));
        stored.uncommitted = static_cast<uint64_t>(row.number(1));
      });
  const uint64_t parts = disk_bytes(context_.folder / "parts" / user);
  return {stored.uncommitted + parts, stored.objects + parts, disk_bytes(context_.folder / "xorbs" / user)};
}

void UploadLimits::check_space(uint64_t bytes) const {
  if (bytes < kSmallBytes) return;
  struct statvfs disk{};
  if (::statvfs(context_.folder.c_str(), &disk) != 0)
    throw system_error(errno, "cannot read the free space of", context_.folder.string());
  const uint64_t free = uint64_t{disk.f_bavail} * disk.f_frsize, size = uint64_t{disk.f_blocks} * disk.f_frsize;
  const uint64_t reserve =
      context_.limits.reserve_bytes.value_or(std::max(kMinReserveBytes, size / 100 * kReservePercent));
  if (free >= reserve && bytes <= free - reserve) return;
  throw StoreError(StoreReason::no_space,
      fmt::format("the Hub has not enough free space (have {}, the upload needs {} and a reserve of {})",
          human_bytes(free), human_bytes(bytes), human_bytes(reserve)),
      "ask the administrator of the Hub");
}

}  // namespace depickle::server::content
