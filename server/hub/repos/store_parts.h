// What the parts of the store share. Internal to this module.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "server/base/folder_lock.h"
#include "server/hub/content/context.h"
#include "server/hub/content/lfs.h"
#include "server/hub/content/xet.h"
#include "server/hub/git/store_error.h"
#include "server/hub/repos/access_requests.h"
#include "server/hub/repos/maintenance.h"
#include "server/hub/repos/repos.h"
#include "server/hub/repos/users.h"

namespace depickle::server::repos {

/// One mutex per repository, for as long as a thread uses it.
class RepoLocks {
 public:
  std::shared_ptr<std::timed_mutex> of(int64_t key) {
    std::lock_guard lock(mutex_);
    std::erase_if(locks_, [](const auto& entry) { return entry.second.expired(); });
    std::shared_ptr<std::timed_mutex> found = locks_[key].lock();
    if (!found) locks_[key] = found = std::make_shared<std::timed_mutex>();
    return found;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<int64_t, std::weak_ptr<std::timed_mutex>> locks_;
};

/// The lock of a repository's writers.
class RepoLock {
 public:
  /// How long a writer waits for another one: it occupies a worker meanwhile.
  static constexpr std::chrono::seconds kMaxWait{5};

  /// Calls `check` now and then while it waits, and throws what it throws. Throws StoreError{busy} after
  /// `max_wait`.
  RepoLock(RepoLocks& locks, int64_t key, const std::function<void()>& check = {},
      std::chrono::milliseconds max_wait = kMaxWait)
      : mutex_(locks.of(key)),
        lock_(*mutex_, std::defer_lock) {
    const auto deadline = std::chrono::steady_clock::now() + max_wait;
    while (!lock_.try_lock_for(std::chrono::milliseconds(100))) {
      if (check) check();
      if (std::chrono::steady_clock::now() >= deadline)
        throw StoreError(StoreReason::busy, "another request is changing the repository", "try again in a moment");
    }
  }

 private:
  std::shared_ptr<std::timed_mutex> mutex_;
  std::unique_lock<std::timed_mutex> lock_;
};

struct StoreParts : content::Context {
  StoreParts(const std::filesystem::path& data_folder, const StoreLimits& store_limits, FolderLock lock);
  StoreParts(const StoreParts&) = delete;
  StoreParts& operator=(const StoreParts&) = delete;

  FolderLock folder_lock;
  std::string store_id;
  RepoLocks locks;
  Users users;
  AccessRequests access_requests{database};
  Repos repos{*this};
  content::Lfs lfs{*this};
  content::Xet xet{*this, lfs};
  Maintenance maintenance{folder};

  std::filesystem::path git_folder(int64_t key) const { return folder / "git" / (std::to_string(key) + ".git"); }
  /// A link to the git folder, for people and `git clone`.
  std::filesystem::path link(const RepoId& id) const {
    return folder / "repos" / plural(id.type) / id.owner / (id.name + ".git");
  }
};

}  // namespace depickle::server::repos
