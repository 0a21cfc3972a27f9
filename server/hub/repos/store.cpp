#include "server/hub/repos/store.h"

#include "depickle/base/error.h"
#include "server/base/random_id.h"
#include "server/base/sync.h"
#include "server/hub/git/repository.h"
#include "server/hub/repos/pull_request.h"
#include "server/hub/repos/repo_folder.h"
#include "server/hub/repos/schema.h"
#include "server/hub/repos/store_parts.h"

namespace depickle::server::repos {
namespace {

namespace fs = std::filesystem;

// Removes git's lock files and temporary files. The lock on the data folder guarantees that no process is writing them.
void remove_git_temporaries(const fs::path& git_folder) {
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

// Completes or removes what a killed server did not finish.
void recover(StoreParts& parts) {
  Database& database = *parts.database;
  database.run("UPDATE ref_changes SET pending = 0 WHERE pending <> 0");
  std::vector<int64_t> unfinished, all;
  database.each(
      "SELECT key FROM repos WHERE state <> 1", {}, [&](const Row& row) { unfinished.push_back(row.number(0)); });
  for (int64_t key : unfinished) remove_repo(parts, key);
  database.each("SELECT key FROM repos", {}, [&](const Row& row) { all.push_back(row.number(0)); });
  for (int64_t key : all) remove_git_temporaries(parts.git_folder(key));

  std::vector<std::pair<int64_t, uint64_t>> reserved, merging;
  auto into = [](auto& list) {
    return [&list](const Row& row) { list.emplace_back(row.number(0), static_cast<uint64_t>(row.number(1))); };
  };
  database.each("SELECT repo, number FROM reserved", {}, into(reserved));
  for (auto [repo, number] : reserved) remove_reserved(parts, repo, number);
  database.each(
      "SELECT repo, number FROM discussions WHERE merge_commit IS NOT NULL AND status <> 3", {}, into(merging));
  for (auto [repo, number] : merging) settle_merge(parts, repo, number);
}

void link_all_repos(StoreParts& parts) {
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

StoreParts::StoreParts(const fs::path& data_folder, const StoreLimits& store_limits, FolderLock lock)
    : Context{data_folder, store_limits, open_store_database(data_folder)},
      folder_lock(std::move(lock)),
      users(database) {
  std::string new_id = random_hex(16);
  database->run("INSERT OR IGNORE INTO meta VALUES('store_id', ?)", {new_id});
  store_id = database->text("SELECT value FROM meta WHERE key = 'store_id'", {}).value_or(new_id);
}

std::unique_ptr<Store> Store::open(const fs::path& data_folder, const StoreLimits& limits) {
  git::init_libgit2();
  FolderLock lock(data_folder);
  auto parts = std::make_unique<StoreParts>(fs::canonical(data_folder), limits, std::move(lock));
  fs::remove_all(parts->temporary_folder());
  for (const char* name : {"tmp", "git", "lfs", "parts", "xorbs"}) create_folders(parts->folder / name);
  recover(*parts);
  link_all_repos(*parts);
  return std::unique_ptr<Store>(new Store(std::move(parts)));
}

Store::Store(std::unique_ptr<StoreParts> parts) : parts_(std::move(parts)) {}
Store::~Store() = default;

const StoreLimits& Store::limits() const noexcept { return parts_->limits; }
const fs::path& Store::folder() const noexcept { return parts_->folder; }
fs::path Store::temporary_folder() const { return parts_->temporary_folder(); }
const std::string& Store::id() const noexcept { return parts_->store_id; }
void Store::start_maintenance(std::function<void(std::string_view)> log) { parts_->maintenance.start(std::move(log)); }
AccessRequests& Store::access_requests() noexcept { return parts_->access_requests; }
Users& Store::users() noexcept { return parts_->users; }
Repos& Store::repos() noexcept { return parts_->repos; }
content::Lfs& Store::lfs() noexcept { return parts_->lfs; }
content::Xet& Store::xet() noexcept { return parts_->xet; }
content::UploadLimits& Store::upload_limits() noexcept { return parts_->upload_limits; }
Repo Store::repo(const RepoInfo& info) { return Repo(*parts_, info); }
content::Spool Store::spool() const {
  return content::Spool(parts_->temporary_folder(), parts_->limits.commit_inline_bytes);
}

}  // namespace depickle::server::repos
