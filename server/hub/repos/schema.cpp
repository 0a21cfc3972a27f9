#include "server/hub/repos/schema.h"

#include "server/base/sync.h"

namespace depickle::server::repos {
namespace {

constexpr int kVersion = 2;

// Also upgrades a database of version 1, which has `grants` and no table below `reserved`.
// Names are compared without case, as on the Hub: `Me/Demo` and `me/demo` are the same name.
constexpr const char* kTables = R"(
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users(id TEXT NOT NULL, name TEXT PRIMARY KEY COLLATE NOCASE, created_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tokens(sha256 TEXT PRIMARY KEY, user TEXT NOT NULL COLLATE NOCASE,
  may_write INTEGER NOT NULL, created_at INTEGER NOT NULL);
-- state: 0 being created, 1 ready, 2 being deleted. next_number: of the next discussion.
CREATE TABLE IF NOT EXISTS repos(key INTEGER PRIMARY KEY AUTOINCREMENT, object_id TEXT NOT NULL, type INTEGER NOT NULL,
  owner TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL COLLATE NOCASE, private INTEGER NOT NULL,
  gate INTEGER NOT NULL,
  disabled INTEGER NOT NULL, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL, state INTEGER NOT NULL,
  next_number INTEGER NOT NULL DEFAULT 1, UNIQUE(type, owner, name));
CREATE TABLE IF NOT EXISTS former_names(type INTEGER NOT NULL, owner TEXT NOT NULL COLLATE NOCASE,
  name TEXT NOT NULL COLLATE NOCASE, repo INTEGER NOT NULL, PRIMARY KEY(type, owner, name));
CREATE TABLE IF NOT EXISTS grants(repo INTEGER NOT NULL, user TEXT NOT NULL COLLATE NOCASE, PRIMARY KEY(repo, user));
CREATE TABLE IF NOT EXISTS objects(oid TEXT PRIMARY KEY, size INTEGER NOT NULL, git_sha1 TEXT);
-- object_owners: users who uploaded the object. repo_objects: repositories with a commit that names it.
CREATE TABLE IF NOT EXISTS object_owners(user TEXT NOT NULL COLLATE NOCASE, oid TEXT NOT NULL, PRIMARY KEY(user, oid))
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS repo_objects(repo INTEGER NOT NULL, oid TEXT NOT NULL, PRIMARY KEY(repo, oid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS discussions(repo INTEGER NOT NULL, number INTEGER NOT NULL, title TEXT NOT NULL,
  author TEXT NOT NULL, status INTEGER NOT NULL, pull_request INTEGER NOT NULL, base TEXT, base_commit TEXT,
  created_at INTEGER NOT NULL, merge_commit TEXT, PRIMARY KEY(repo, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events(sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
  repo INTEGER NOT NULL, number INTEGER NOT NULL,
  kind INTEGER NOT NULL, author TEXT NOT NULL, created_at INTEGER NOT NULL, text TEXT NOT NULL, other TEXT NOT NULL,
  hidden INTEGER NOT NULL DEFAULT 0, edits INTEGER NOT NULL DEFAULT 0, edited_at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS events_of ON events(repo, number);
-- Pull requests whose ref may exist without a row, if the server was killed between the two writes.
CREATE TABLE IF NOT EXISTS reserved(repo INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(repo, number))
  WITHOUT ROWID;
-- Version 2.
CREATE INDEX IF NOT EXISTS owners_of_object ON object_owners(oid);
CREATE INDEX IF NOT EXISTS repos_of_object ON repo_objects(oid);
-- used_at: the last upload, or the last time that an upload was unnecessary. released_at: when the last repository with
-- a commit that names the object was deleted, or the last such commit.
CREATE TABLE IF NOT EXISTS object_uses(oid TEXT PRIMARY KEY, used_at INTEGER NOT NULL, released_at INTEGER)
  WITHOUT ROWID;
INSERT OR IGNORE INTO object_uses(oid, used_at) SELECT oid, CAST(strftime('%s', 'now') AS INTEGER) * 1000 FROM objects;
-- changes: counts the beginnings and ends of ref changes, see RefChange. pending: begun and not ended. is_stale: a ref
-- was deleted, so repo_objects may have rows without a commit.
CREATE TABLE IF NOT EXISTS ref_changes(repo INTEGER PRIMARY KEY, changes INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL DEFAULT 0, is_stale INTEGER NOT NULL DEFAULT 0);
-- number: of the address of a user's xet uploads. It grows when xorbs become unusable.
CREATE TABLE IF NOT EXISTS xet_generations(user TEXT PRIMARY KEY COLLATE NOCASE, number INTEGER NOT NULL) WITHOUT ROWID;
-- status: 0 pending, 1 accepted, 2 rejected.
CREATE TABLE IF NOT EXISTS access_requests(repo INTEGER NOT NULL, user TEXT NOT NULL COLLATE NOCASE, id TEXT NOT NULL,
  status INTEGER NOT NULL, requested_at INTEGER NOT NULL, reason TEXT NOT NULL DEFAULT '', PRIMARY KEY(repo, user))
  WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS access_request_ids ON access_requests(repo, id);
INSERT OR IGNORE INTO access_requests(repo, user, id, status, requested_at)
  SELECT repo, user, lower(hex(randomblob(12))), 1, CAST(strftime('%s', 'now') AS INTEGER) * 1000 FROM grants;
DROP TABLE grants;
)";

}  // namespace

std::shared_ptr<Database> open_store_database(const std::filesystem::path& data_folder) {
  make_private_folder(data_folder);
  return Database::open(data_folder / "hub.sqlite", kTables, kVersion);
}

}  // namespace depickle::server::repos
