#include "server/hub/repos/repos.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/base/random_id.h"
#include "server/base/sync.h"
#include "server/hub/content/object_uses.h"
#include "server/hub/content/trash.h"
#include "server/hub/git/attributes.h"
#include "server/hub/git/repository.h"
#include "server/hub/git/store_error.h"
#include "server/hub/git/tree_editor.h"
#include "server/hub/repos/repo_folder.h"
#include "server/hub/repos/store_parts.h"

namespace depickle::server::repos {
namespace {

namespace fs = std::filesystem;

// Longer than any owner/name.
constexpr size_t kMaxSearchBytes = 256;

constexpr const char* kRepoColumns =
    "key, object_id, type, owner, name, private, gate, disabled, created_at, modified_at";

RepoInfo read_info(const Row& row) {
  RepoInfo info;
  info.key = row.number(0);
  info.object_id = row.text(1);
  info.id = {static_cast<RepoType>(row.number(2)), row.text(3), row.text(4)};
  info.settings = {row.number(5) != 0, static_cast<Gate>(row.number(6)), row.number(7) != 0};
  info.created_at = row.number(8);
  info.modified_at = row.number(9);
  return info;
}

StoreError already_exists(const RepoId& id) {
  return StoreError(StoreReason::exists, fmt::format("{} already exists", id.full()), "choose another name");
}

// Creates a bare repository with one commit. A clone from the file system finds the LFS objects through the link.
void create_git_folder(const fs::path& folder, std::string_view by) {
  fs::remove_all(folder);
  git::Repository::create(folder);
  fs::create_directories(folder / "lfs");
  fs::create_directory_symlink("../../../lfs", folder / "lfs" / "objects");
  sync_tree(folder);
  sync_folder(folder.parent_path());
  git::Repository git(folder);
  git::TreeEditor editor(git, nullptr);
  editor.put(".gitattributes", {git.write_blob(git::kHubAttributes), GIT_FILEMODE_BLOB});
  git.set_ref("refs/heads/main", git.write_commit(editor.write(), nullptr, by, "initial commit"), nullptr);
}

}  // namespace

void link_repo(const StoreParts& parts, const RepoInfo& repo) {
  fs::path link = parts.link(repo.id);
  std::error_code ignored;  // the link is only a convenience
  fs::create_directories(link.parent_path(), ignored);
  fs::remove(link, ignored);
  fs::create_directory_symlink(fs::path("../../../git") / parts.git_folder(repo.key).filename(), link, ignored);
}

void remove_repo(StoreParts& parts, int64_t key) {
  parts.database->run("UPDATE repos SET state = 2 WHERE key = ?", {key});
  content::move_to_trash(parts, parts.git_folder(key));
  sync_folder(parts.git_folder(key).parent_path());
  parts.database->transaction([&] {
    content::release_objects(*parts.database, key);
    for (const char* table : {"former_names", "access_requests", "discussions", "events", "reserved", "ref_changes"}) {
      parts.database->run(fmt::format("DELETE FROM {} WHERE repo = ?", table), {key});
    }
    parts.database->run("DELETE FROM repos WHERE key = ?", {key});
  });
}

void Repos::remove_unfinished(const RepoId& id) {
  const std::optional<int64_t> key =
      parts_.database->number("SELECT key FROM repos WHERE type = ? AND owner = ? AND name = ? AND state <> 1",
          {int64_t(id.type), id.owner, id.name});
  if (!key) return;
  try {
    const RepoLock lock(parts_.locks, *key, {}, std::chrono::milliseconds(0));
    if (parts_.database->number("SELECT 1 FROM repos WHERE key = ? AND state <> 1", {*key})) remove_repo(parts_, *key);
  } catch (const StoreError& error) {
    if (error.reason() != StoreReason::busy) throw;  // another request is creating or deleting it
  }
}

RepoInfo Repos::prepare(const RepoId& id, const RepoSettings& settings, std::string_view by) {
  std::optional<RepoLock> lock;
  return prepare(id, settings, by, lock);
}

RepoInfo Repos::prepare(
    const RepoId& id, const RepoSettings& settings, std::string_view by, std::optional<RepoLock>& lock) {
  remove_unfinished(id);
  int64_t key = 0;
  parts_.database->transaction([&] {
    if (parts_.database->number(
            "SELECT 1 FROM repos WHERE type = ? AND owner = ? AND name = ?", {int64_t(id.type), id.owner, id.name})) {
      throw already_exists(id);
    }
    std::string object_id = random_hex(24);
    parts_.database->run(
        "INSERT INTO repos(object_id, type, owner, name, private, gate, disabled, created_at, modified_at, state) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        {object_id, int64_t(id.type), id.owner, id.name, int64_t{settings.is_private}, int64_t(settings.gate),
            int64_t{settings.is_disabled}, now_ms(), now_ms()});
    key = parts_.database->last_row_id();
    lock.emplace(parts_.locks, key);
  });
  try {
    create_git_folder(parts_.git_folder(key), by);
  } catch (...) {
    remove_repo(parts_, key);
    throw;
  }
  return at_key(key);
}

void Repos::publish(const RepoInfo& repo) {
  parts_.database->transaction([&] {
    parts_.database->run("UPDATE repos SET state = 1 WHERE key = ?", {repo.key});
    parts_.database->run("DELETE FROM former_names WHERE type = ? AND owner = ? AND name = ?",
        {int64_t(repo.id.type), repo.id.owner, repo.id.name});
  });
  link_repo(parts_, repo);
}

void Repos::abandon(const RepoInfo& repo) { remove_repo(parts_, repo.key); }

RepoInfo Repos::create(const RepoId& id, const RepoSettings& settings, const Caller& by) {
  if (!may_create(id, by)) {
    throw StoreError(StoreReason::denied,
        fmt::format("{} has no permission to create a repository in {}", by.user.name, quoted(id.owner)),
        by.may_write ? "use your own name or the name of an organization" : "use a write token");
  }
  std::optional<RepoLock> lock;
  RepoInfo info = prepare(id, settings, by.user.name, lock);
  publish(info);
  return info;
}

void Repos::remove(const RepoId& id) {
  RepoInfo info = at(id);
  const RepoLock lock(parts_.locks, info.key);
  std::error_code ignored;
  fs::remove(parts_.link(info.id), ignored);
  remove_repo(parts_, info.key);
  parts_.maintenance.wake();
}

RepoInfo Repos::move(const RepoId& from, const RepoId& to) {
  if (from.type != to.type) throw StoreError(StoreReason::malformed, "the type of a repository cannot change");
  RepoInfo info, moved;
  parts_.database->transaction([&] {
    info = moved = at(from);
    moved.id = to;
    std::optional<int64_t> existing = parts_.database->number(
        "SELECT key FROM repos WHERE type = ? AND owner = ? AND name = ?", {int64_t(to.type), to.owner, to.name});
    if (existing && *existing != info.key) throw already_exists(to);
    parts_.database->run("UPDATE repos SET owner = ?, name = ? WHERE key = ?", {to.owner, to.name, info.key});
    parts_.database->run(
        "DELETE FROM former_names WHERE type = ? AND owner = ? AND name = ?", {int64_t(to.type), to.owner, to.name});
    if (!existing) {
      parts_.database->run("INSERT OR REPLACE INTO former_names VALUES(?, ?, ?, ?)",
          {int64_t(info.id.type), info.id.owner, info.id.name, info.key});
    }
  });
  std::error_code ignored;
  fs::remove(parts_.link(info.id), ignored);
  link_repo(parts_, moved);
  return moved;
}

RepoInfo Repos::change(const RepoId& id, const SettingsChange& change) {
  const RepoInfo info = at(id);
  // Each statement changes one column, so that two changes at once cannot undo each other with values that they read
  // before.
  auto set = [&](const char* sql, int64_t value) { parts_.database->run(sql, {value, info.key}); };
  parts_.database->transaction([&] {
    if (change.is_private) set("UPDATE repos SET private = ? WHERE key = ?", *change.is_private);
    if (change.gate) set("UPDATE repos SET gate = ? WHERE key = ?", int64_t(*change.gate));
    if (change.is_disabled) set("UPDATE repos SET disabled = ? WHERE key = ?", *change.is_disabled);
  });
  return at_key(info.key);
}

RepoInfo Repos::at_key(int64_t key) const {
  std::optional<RepoInfo> info;
  parts_.database->each(fmt::format("SELECT {} FROM repos WHERE key = ?", kRepoColumns), {key},
      [&](const Row& row) { info = read_info(row); });
  if (!info) throw StoreError(StoreReason::no_repo, "Repository not found");
  return *info;
}

std::optional<RepoInfo> Repos::find(const RepoId& id) const {
  std::optional<RepoInfo> info;
  auto take = [&](const Row& row) { info = read_info(row); };
  std::initializer_list<Value> name = {int64_t(id.type), id.owner, id.name};
  parts_.database->each(
      fmt::format("SELECT {} FROM repos WHERE type = ? AND owner = ? AND name = ? AND state = 1", kRepoColumns), name,
      take);
  if (info) return info;
  parts_.database->each(fmt::format("SELECT {} FROM repos WHERE state = 1 AND key = "
                                    "(SELECT repo FROM former_names WHERE type = ? AND owner = ? AND name = ?)",
                            kRepoColumns),
      name, take);
  return info;
}

RepoInfo Repos::at(const RepoId& id) const {
  std::optional<RepoInfo> info = find(id);
  if (!info) throw StoreError(StoreReason::no_repo, "Repository not found");
  return *info;
}

std::vector<RepoInfo> Repos::list(const RepoQuery& query, const Caller* caller) const {
  std::vector<RepoInfo> repos;
  if (query.search.size() > kMaxSearchBytes) {
    throw StoreError(StoreReason::malformed,
        fmt::format("the search is too long (have {} bytes, need at most {})", query.search.size(), kMaxSearchBytes));
  }
  uint64_t to_skip = query.offset;
  std::string sql = fmt::format(
      "SELECT {} FROM repos WHERE state = 1 AND type = ? AND (?2 = '' OR "
      "instr(lower(owner || '/' || name), lower(?2))) AND (?3 = '' OR owner = ?3) "
      "ORDER BY modified_at {}, key",
      kRepoColumns, query.newest_first ? "DESC" : "ASC");
  parts_.database->each(sql, {int64_t(query.type), query.search, query.owner}, [&](const Row& row) {
    if (repos.size() == query.limit) return;
    RepoInfo info = read_info(row);
    if (!rights(info, caller).see) return;
    if (to_skip > 0) {
      --to_skip;
    } else {
      repos.push_back(std::move(info));
    }
  });
  return repos;
}

Rights Repos::rights(const RepoInfo& repo, const Caller* caller) const {
  bool is_member = false, has_grant = false;
  if (caller) {
    std::optional<User> owner = parts_.users.find(repo.id.owner);
    is_member = !owner || owner->name == caller->user.name;
    has_grant =
        is_member || parts_.database->number("SELECT 1 FROM access_requests WHERE repo = ? AND user = ? AND status = 1",
                         {repo.key, caller->user.name});
  }
  Rights rights;
  rights.see = is_member || (!repo.settings.is_private && !repo.settings.is_disabled);
  if (repo.settings.is_disabled) return rights;
  rights.read = rights.see && (repo.settings.gate == Gate::open || has_grant);
  rights.discuss = rights.read && caller && caller->may_write;
  rights.write = is_member && caller->may_write;
  return rights;
}

bool Repos::may_create(const RepoId& id, const Caller& caller) const {
  std::optional<User> owner = parts_.users.find(id.owner);
  return caller.may_write && (!owner || owner->name == caller.user.name);
}

}  // namespace depickle::server::repos
