// Coordinates changes of refs with a garbage collection, which may run in another process. Internal to this module.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "server/base/database.h"

namespace depickle::server::repos {

/// Announces that a ref will point to another commit. Construct it before the ref changes and destroy it afterwards: a
/// collection that reads the refs meanwhile removes nothing of this repository.
class RefChange {
 public:
  /// Records that the repository has a commit that names `objects`. A row without a commit does no harm, but a commit
  /// must not name an object that its repository cannot read. Throws StoreError{malformed} if an object does not exist
  /// any more.
  RefChange(Database& database, int64_t repo, const std::set<std::string>& objects = {});
  ~RefChange();
  RefChange(const RefChange&) = delete;
  RefChange& operator=(const RefChange&) = delete;

 private:
  Database& database_;
  const int64_t repo_;
};

/// Records that a ref was deleted, so that the next collection reads the repository's commits.
void record_deleted_ref(Database& database, int64_t repo);

}  // namespace depickle::server::repos
