// What the parts of the store share. Internal to this module.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "server/base/folder_lock.h"
#include "server/hub/content/context.h"
#include "server/hub/content/lfs.h"
#include "server/hub/content/xet.h"
#include "server/hub/repos/repos.h"
#include "server/hub/repos/users.h"

namespace depickle::server::repos {

/// One mutex per repository, for as long as a thread uses it.
class RepoLocks {
 public:
  std::shared_ptr<std::mutex> of(int64_t key) {
    std::lock_guard lock(mutex_);
    std::erase_if(locks_, [](const auto& entry) { return entry.second.expired(); });
    std::shared_ptr<std::mutex> found = locks_[key].lock();
    if (!found) locks_[key] = found = std::make_shared<std::mutex>();
    return found;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<int64_t, std::weak_ptr<std::mutex>> locks_;
};

struct StoreParts : content::Context {
  StoreParts(const std::filesystem::path& data_folder, const StoreLimits& store_limits, FolderLock lock);
  StoreParts(const StoreParts&) = delete;
  StoreParts& operator=(const StoreParts&) = delete;

  FolderLock folder_lock;
  std::string store_id;
  RepoLocks locks;
  Users users;
  Repos repos{*this};
  content::Lfs lfs{*this};
  content::Xet xet{*this, lfs};

  std::filesystem::path git_folder(int64_t key) const { return folder / "git" / (std::to_string(key) + ".git"); }
  /// A link to the git folder, for people and `git clone`.
  std::filesystem::path link(const RepoId& id) const {
    return folder / "repos" / plural(id.type) / id.owner / (id.name + ".git");
  }
};

}  // namespace depickle::server::repos
