// What the rooms of the store share. Inside the store only.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "server/base/database.h"
#include "server/base/folder_lock.h"
#include "server/hub/store/lfs.h"
#include "server/hub/store/limits.h"
#include "server/hub/store/repos.h"
#include "server/hub/store/users.h"
#include "server/hub/store/xet.h"

namespace depickle::server {

/// One mutex for each repository, while somebody holds it.
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

struct StoreParts {
  StoreParts(std::filesystem::path data_folder, const Limits& the_limits, FolderLock folder_lock);
  StoreParts(const StoreParts&) = delete;
  StoreParts& operator=(const StoreParts&) = delete;

  std::filesystem::path folder;
  Limits limits;
  FolderLock lock;
  std::shared_ptr<Database> database;
  std::string store_id;
  RepoLocks locks;
  Users users;
  Repos repos{*this};
  Lfs lfs{*this};
  Xet xet{*this};

  std::filesystem::path temporaries() const { return folder / "tmp"; }
  std::filesystem::path git_folder(int64_t key) const { return folder / "git" / (std::to_string(key) + ".git"); }
  /// For people and `git clone`: a link to the git folder.
  std::filesystem::path link(const RepoId& id) const {
    return folder / "repos" / plural(id.type) / id.owner / (id.name + ".git");
  }
  std::filesystem::path lfs_file(std::string_view oid) const {
    return folder / "lfs" / oid.substr(0, 2) / oid.substr(2, 2) / oid;
  }
  std::filesystem::path parts_file(std::string_view user, std::string_view oid) const {
    return folder / "parts" / user / oid;
  }
  std::filesystem::path xorb_file(std::string_view user, std::string_view hash) const {
    return folder / "xorbs" / user / hash.substr(0, 2) / hash;
  }
};

}  // namespace depickle::server
