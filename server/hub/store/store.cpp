#include "server/hub/store/store.h"

#include <chrono>

#include "depickle/base/error.h"
#include "server/base/random_id.h"
#include "server/hub/store/git.h"
#include "server/hub/store/parts.h"
#include "server/hub/store/pull_request.h"
#include "server/hub/store/repo_folder.h"
#include "server/hub/store/schema.h"

namespace depickle::server {
namespace {

namespace fs = std::filesystem;

// What git writes beside a file before it takes its name: with the lock on the folder, nobody is writing now.
void remove_git_leftovers(const fs::path& git_folder) {
  std::error_code ignored;
  for (const char* name : {"HEAD.lock", "packed-refs.lock", "config.lock"}) fs::remove(git_folder / name, ignored);
  for (const auto& entry : fs::recursive_directory_iterator(git_folder / "refs", ignored)) {
    if (entry.path().extension() == ".lock") fs::remove(entry.path(), ignored);
  }
  for (const auto& entry : fs::recursive_directory_iterator(git_folder / "objects", ignored)) {
    std::string name = entry.path().filename().string();
    if (name.starts_with("tmp_")) fs::remove_all(entry.path(), ignored);
  }
}

// Parts of uploads that nobody has continued for a week.
void remove_old_parts(StoreParts& parts) {
  std::error_code ignored;
  auto week = std::chrono::hours(24 * 7);
  for (const auto& entry : fs::recursive_directory_iterator(parts.folder / "parts", ignored)) {
    if (!entry.is_regular_file(ignored) || fs::file_time_type::clock::now() - entry.last_write_time(ignored) < week)
      continue;
    std::string oid = entry.path().filename().string(), user = entry.path().parent_path().filename().string();
    fs::remove(entry.path(), ignored);
    parts.database->run("DELETE FROM parts WHERE user = ? AND oid = ?", {user, oid});
  }
}

void finish_what_was_begun(StoreParts& parts) {
  Database& database = *parts.database;
  std::vector<int64_t> half_made, all;
  database.each(
      "SELECT key FROM repos WHERE state <> 1", {}, [&](const Row& row) { half_made.push_back(row.number(0)); });
  for (int64_t key : half_made) remove_repo(parts, key);
  database.each("SELECT key FROM repos", {}, [&](const Row& row) { all.push_back(row.number(0)); });
  for (int64_t key : all) remove_git_leftovers(parts.git_folder(key));

  std::vector<std::pair<int64_t, uint64_t>> reserved, merging;
  auto into = [](auto& list) {
    return [&list](const Row& row) { list.emplace_back(row.number(0), static_cast<uint64_t>(row.number(1))); };
  };
  database.each("SELECT repo, number FROM reserved", {}, into(reserved));
  for (auto [repo, number] : reserved) remove_reserved(parts, repo, number);
  database.each(
      "SELECT repo, number FROM discussions WHERE merge_commit IS NOT NULL AND status <> 3", {}, into(merging));
  for (auto [repo, number] : merging) {
    RepoInfo info;
    info.key = repo;
    settle_merge(parts, info, number);
  }
}

void make_links(StoreParts& parts) {
  std::error_code ignored;
  fs::remove_all(parts.folder / "repos", ignored);
  for (RepoType type : {RepoType::model, RepoType::dataset, RepoType::space}) {
    parts.database->each("SELECT key, owner, name FROM repos WHERE type = ?", {int64_t(type)}, [&](const Row& row) {
      RepoInfo info;
      info.key = row.number(0);
      info.id = {type, row.text(1), row.text(2)};
      link_repo(parts, info);
    });
  }
}

}  // namespace

StoreParts::StoreParts(fs::path data_folder, const Limits& the_limits, FolderLock folder_lock)
    : folder(std::move(data_folder)),
      limits(the_limits),
      lock(std::move(folder_lock)),
      database(open_store_database(folder)),
      users(database) {
  std::string fresh = random_hex(16);
  database->run("INSERT OR IGNORE INTO meta VALUES('store_id', ?)", {fresh});
  store_id = database->text("SELECT value FROM meta WHERE key = 'store_id'", {}).value_or(fresh);
}

std::unique_ptr<Store> Store::open(const fs::path& data_folder, const Limits& limits) {
  start_git();
  FolderLock lock(data_folder);
  auto parts = std::make_unique<StoreParts>(fs::canonical(data_folder), limits, std::move(lock));
  fs::remove_all(parts->temporaries());
  for (const char* name : {"tmp", "git", "lfs", "parts", "xorbs"}) fs::create_directories(parts->folder / name);
  finish_what_was_begun(*parts);
  remove_old_parts(*parts);
  make_links(*parts);
  return std::unique_ptr<Store>(new Store(std::move(parts)));
}

Store::Store(std::unique_ptr<StoreParts> parts) : parts_(std::move(parts)) {}
Store::~Store() = default;

const Limits& Store::limits() const noexcept { return parts_->limits; }
const fs::path& Store::folder() const noexcept { return parts_->folder; }
Users& Store::users() noexcept { return parts_->users; }
Repos& Store::repos() noexcept { return parts_->repos; }
Lfs& Store::lfs() noexcept { return parts_->lfs; }
Xet& Store::xet() noexcept { return parts_->xet; }
Repo Store::repo(const RepoInfo& info) { return Repo(*parts_, info); }
Spool Store::spool() const { return Spool(parts_->temporaries(), parts_->limits.commit_inline_bytes); }

}  // namespace depickle::server
