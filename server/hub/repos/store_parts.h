// What the parts of the store share. Internal to this module.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

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

/// The repositories that a writer has locked.
class RepoLocks {
  friend class RepoLock;
  std::mutex mutex_;
  std::condition_variable released_;
  std::set<int64_t> locked_;
};

/// The lock of a repository's writers.
class RepoLock {
 public:
  /// How long a writer waits for another one: it occupies a worker meanwhile.
  static constexpr std::chrono::seconds kMaxWait{5};

  /// Calls `check` now and then while it waits, and throws what it throws. Throws StoreError{busy} after `max_wait`.
  RepoLock(RepoLocks& locks, int64_t key, const std::function<void()>& check = {},
      std::chrono::milliseconds max_wait = kMaxWait)
      : locks_(locks),
        key_(key) {
    const auto deadline = std::chrono::steady_clock::now() + max_wait;
    std::unique_lock lock(locks_.mutex_);
    while (!locks_.locked_.insert(key_).second) {
      if (std::chrono::steady_clock::now() >= deadline)
        throw StoreError(StoreReason::busy, "another request is changing the repository", "try again in a moment");
      locks_.released_.wait_for(lock, std::chrono::milliseconds(100));
      lock.unlock();
      if (check) check();
      lock.lock();
    }
  }
  ~RepoLock() {
    std::lock_guard lock(locks_.mutex_);
    locks_.locked_.erase(key_);
    locks_.released_.notify_all();
  }
  RepoLock(const RepoLock&) = delete;
  RepoLock& operator=(const RepoLock&) = delete;

 private:
  RepoLocks& locks_;
  const int64_t key_;
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
