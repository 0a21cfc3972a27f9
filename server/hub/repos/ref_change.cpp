#include "server/hub/repos/ref_change.h"

#include <fmt/format.h>

#include "server/base/time.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::repos {

RefChange::RefChange(Database& database, int64_t repo, const std::set<std::string>& objects)
    : database_(database),
      repo_(repo) {
  database_.transaction([&] {
    database_.run("UPDATE repos SET modified_at = ? WHERE key = ?", {now_ms(), repo});
    for (const std::string& oid : objects) {
      if (!database_.number("SELECT 1 FROM objects WHERE oid = ?", {oid}))
        throw StoreError(StoreReason::malformed,
            fmt::format("the LFS object {} was deleted, because no commit named it for too long", oid),
            "upload it again");
      database_.run("INSERT OR IGNORE INTO repo_objects VALUES(?, ?)", {repo, oid});
    }
    database_.run(
        "INSERT INTO ref_changes(repo, changes, pending) VALUES(?, 1, 1) ON CONFLICT(repo) DO UPDATE SET changes = "
        "changes + 1, pending = pending + 1",
        {repo});
  });
}

RefChange::~RefChange() {
  try {
    database_.run("UPDATE ref_changes SET changes = changes + 1, pending = pending - 1 WHERE repo = ?", {repo_});
  } catch (const std::exception&) {
    return;  // collections skip the repository until the store is opened again
  }
}

void record_deleted_ref(Database& database, int64_t repo) {
  database.run(
      "INSERT INTO ref_changes(repo, is_stale) VALUES(?, 1) ON CONFLICT(repo) DO UPDATE SET is_stale = 1", {repo});
}

}  // namespace depickle::server::repos
