#include "server/hub/content/gc.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "depickle/base/error.h"
#include "server/base/time.h"
#include "server/hub/content/object_uses.h"
#include "server/hub/content/trash.h"
#include "server/hub/content/xorb.h"

namespace depickle::server::content {
namespace {

namespace fs = std::filesystem;

// ?1: used before; ?2: released before.
constexpr const char* kUnused =
    " FROM objects o LEFT JOIN object_uses u ON u.oid = o.oid WHERE (COALESCE(u.used_at, 0) < ?1 OR (u.released_at "
    "< ?2 AND u.released_at >= u.used_at)) AND NOT EXISTS(SELECT 1 FROM repo_objects r WHERE r.oid = o.oid AND NOT "
    "EXISTS(SELECT 1 FROM dead_references d WHERE d.repo = r.repo AND d.oid = r.oid))";

template <typename Take>
void each_entry(const fs::path& folder, Take take) {
  std::error_code ignored;
  for (auto at = fs::directory_iterator(folder, ignored); at != fs::directory_iterator(); at.increment(ignored))
    take(at->path());
}

// Call it in a transaction, which excludes an upload that has created the folder for its file.
void remove_if_empty(const fs::path& folder) { ::rmdir(folder.c_str()); }

class Collection {
 public:
  Collection(const Context& context, const CollectOptions& options, const CollectProgress& progress)
      : context_(context),
        database_(*context.database),
        options_(options),
        progress_(progress),
        used_before_(now_ms() - options.upload_age.count()),
        released_before_(now_ms() - options.released_age.count()) {}

  RemovedContent run() {
    // What a killed collection has moved.
    if (!options_.dry_run) removed_.temporary = empty_trash(context_);
    remove_objects();
    remove_unnamed_objects();
    each_entry(context_.folder / "xorbs", [&](const fs::path& user) { remove_xorbs(user); });
    each_entry(context_.folder / "parts", [&](const fs::path& user) { remove_parts(user); });
    if (!options_.dry_run) empty_trash(context_);
    return removed_;
  }

 private:
  // Counts an item, and deletes what was moved.
  void removed(Removed& kind, uint64_t bytes) {
    kind.add(bytes);
    removed_bytes_ += bytes;
    if (!options_.dry_run) empty_trash(context_);
    if (progress_) progress_(removed_bytes_);
  }

  void remove_objects() {
    std::vector<std::string> oids;
    database_.each_of_writer(std::string("SELECT o.oid") + kUnused, {used_before_, released_before_},
        [&](const Row& row) { oids.push_back(row.text(0)); });
    for (const std::string& oid : oids) {
      const uint64_t bytes = disk_bytes(context_.lfs_file(oid));
      if (options_.dry_run) {
        removed_objects_.insert(oid);
      } else if (!forget_object(oid)) {
        continue;
      } else {
        move_unnamed_object(context_.lfs_file(oid), oid);
      }
      removed(removed_.objects, bytes);
    }
  }

  // Deletes the rows of the object if it is still unused. After a kill here, the file is one without a row.
  bool forget_object(std::string_view oid) {
    bool is_unused = false;
    database_.transaction([&] {
      is_unused =
          database_.number(std::string("SELECT 1") + kUnused + " AND o.oid = ?3", {used_before_, released_before_, oid})
              .has_value();
      if (!is_unused) return;
      database_.run(
          "INSERT INTO xet_generations SELECT user, 1 FROM object_owners WHERE oid = ? ON CONFLICT(user) DO UPDATE SET "
          "number = number + 1",
          {oid});
      for (const char* table : {"object_owners", "object_uses", "objects"})
        database_.run(std::string("DELETE FROM ") + table + " WHERE oid = ?", {oid});
    });
    return is_unused;
  }

  // The transaction excludes an upload that finds the file and inserts the row.
  bool move_unnamed_object(const fs::path& file, std::string_view oid) {
    bool is_moved = false;
    database_.transaction([&] {
      if (database_.number("SELECT 1 FROM objects WHERE oid = ?", {oid})) return;
      is_moved = move_to_trash(context_, file);
      remove_if_empty(file.parent_path());
      remove_if_empty(file.parent_path().parent_path());
    });
    return is_moved;
  }

  void remove_unnamed_objects() {
    each_entry(context_.folder / "lfs", [&](const fs::path& first) {
      each_entry(first, [&](const fs::path& second) {
        each_entry(second, [&](const fs::path& file) {
          const std::string oid = file.filename();
          if (database_.number("SELECT 1 FROM objects WHERE oid = ?", {oid})) return;
          const uint64_t bytes = disk_bytes(file);
          if (options_.dry_run || move_unnamed_object(file, oid)) removed(removed_.temporary, bytes);
        });
        remove_empty_folder(second);
      });
      remove_empty_folder(first);
    });
  }

  // A killed collection leaves empty folders.
  void remove_empty_folder(const fs::path& folder) {
    std::error_code ignored;
    if (options_.dry_run || !fs::is_empty(folder, ignored)) return;
    database_.transaction([&] { remove_if_empty(folder); });
  }

  bool is_object(const std::string& oid) {
    return !removed_objects_.contains(oid) && database_.number("SELECT 1 FROM objects WHERE oid = ?", {oid});
  }

  // A xorb whose chunks are in objects needs them; another one waits for its shard.
  bool is_usable(const fs::path& file, const std::string& user, const struct stat& status) {
    if (!database_.number("SELECT 1 FROM users WHERE name = ?", {user})) return false;
    try {
      const XorbFile xorb(context_, file);
      if (!xorb.is_in_objects()) return Moment{status.st_mtim.tv_sec} * 1000 >= used_before_;
      return std::ranges::all_of(xorb.objects(), [&](const std::string& oid) { return is_object(oid); });
    } catch (const Error&) {
      return false;  // a damaged file
    }
  }

  void remove_xorbs(const fs::path& user) {
    uint64_t count = removed_.xorbs.count;
    each_entry(user, [&](const fs::path& folder) {
      each_entry(folder, [&](const fs::path& file) { remove_xorb(file, user.filename()); });
      remove_empty_folder(folder);
    });
    if (!options_.dry_run && removed_.xorbs.count > count) begin_xet_generation(database_, user.filename().string());
  }

  void remove_xorb(const fs::path& file, const std::string& user) {
    struct stat before{}, after{};
    if (::stat(file.c_str(), &before) != 0 || is_usable(file, user, before)) return;
    const uint64_t bytes = disk_bytes(file);
    bool is_moved = options_.dry_run;
    // The transaction excludes an upload that replaces the xorb.
    if (!options_.dry_run) {
      database_.transaction([&] {
        if (::stat(file.c_str(), &after) == 0 && before.st_ino == after.st_ino &&
            before.st_mtim.tv_nsec == after.st_mtim.tv_nsec)
          is_moved = move_to_trash(context_, file);
        remove_if_empty(file.parent_path());
      });
    }
    if (is_moved) removed(removed_.xorbs, bytes);
  }

  // A new part changes the time of its folder. The folder may get another part meanwhile, which is then removed too:
  // its upload fails with missing parts and is started again.
  void remove_parts(const fs::path& user) {
    each_entry(user, [&](const fs::path& upload) {
      struct stat status{};
      if (::stat(upload.c_str(), &status) != 0 || Moment{status.st_mtim.tv_sec} * 1000 >= used_before_) return;
      const uint64_t bytes = disk_bytes(upload);
      if (options_.dry_run || move_to_trash(context_, upload)) removed(removed_.uploads, bytes);
    });
  }

  const Context& context_;
  Database& database_;
  const CollectOptions options_;
  const CollectProgress& progress_;
  const Moment used_before_, released_before_;
  RemovedContent removed_;
  uint64_t removed_bytes_ = 0;
  std::set<std::string> removed_objects_;  // of a dry run
};

}  // namespace

RemovedContent remove_unused_content(
    const Context& context, const CollectOptions& options, const CollectProgress& progress) {
  return Collection(context, options, progress).run();
}

}  // namespace depickle::server::content
