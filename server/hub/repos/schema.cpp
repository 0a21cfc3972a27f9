#include "server/hub/repos/schema.h"

#include "server/base/sync.h"

namespace depickle::server::repos {
namespace {

constexpr int kVersion = 1;

// Names are compared without case, as on the Hub: `Me/Demo` and `me/demo` are the same name.
constexpr const char* kTables = R"(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE users(id TEXT NOT NULL, name TEXT PRIMARY KEY COLLATE NOCASE, created_at INTEGER NOT NULL);
CREATE TABLE tokens(sha256 TEXT PRIMARY KEY, user TEXT NOT NULL COLLATE NOCASE, may_write INTEGER NOT NULL,
  created_at INTEGER NOT NULL);
-- state: 0 being created, 1 ready, 2 being deleted. next_number: of the next discussion.
CREATE TABLE repos(key INTEGER PRIMARY KEY AUTOINCREMENT, object_id TEXT NOT NULL, type INTEGER NOT NULL,
  owner TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL COLLATE NOCASE, private INTEGER NOT NULL,
  gate INTEGER NOT NULL,
  disabled INTEGER NOT NULL, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL, state INTEGER NOT NULL,
  next_number INTEGER NOT NULL DEFAULT 1, UNIQUE(type, owner, name));
CREATE TABLE former_names(type INTEGER NOT NULL, owner TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL COLLATE NOCASE,
  repo INTEGER NOT NULL, PRIMARY KEY(type, owner, name));
CREATE TABLE grants(repo INTEGER NOT NULL, user TEXT NOT NULL COLLATE NOCASE, PRIMARY KEY(repo, user));
CREATE TABLE objects(oid TEXT PRIMARY KEY, size INTEGER NOT NULL, git_sha1 TEXT);
-- object_owners: users who uploaded the object. repo_objects: repositories with a commit that names it.
CREATE TABLE object_owners(user TEXT NOT NULL COLLATE NOCASE, oid TEXT NOT NULL, PRIMARY KEY(user, oid)) WITHOUT ROWID;
CREATE TABLE repo_objects(repo INTEGER NOT NULL, oid TEXT NOT NULL, PRIMARY KEY(repo, oid)) WITHOUT ROWID;
CREATE TABLE discussions(repo INTEGER NOT NULL, number INTEGER NOT NULL, title TEXT NOT NULL, author TEXT NOT NULL,
  status INTEGER NOT NULL, pull_request INTEGER NOT NULL, base TEXT, base_commit TEXT, created_at INTEGER NOT NULL,
  merge_commit TEXT, PRIMARY KEY(repo, number)) WITHOUT ROWID;
CREATE TABLE events(sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, repo INTEGER NOT NULL,
  number INTEGER NOT NULL,
  kind INTEGER NOT NULL, author TEXT NOT NULL, created_at INTEGER NOT NULL, text TEXT NOT NULL, other TEXT NOT NULL,
  hidden INTEGER NOT NULL DEFAULT 0, edits INTEGER NOT NULL DEFAULT 0, edited_at INTEGER NOT NULL);
CREATE INDEX events_of ON events(repo, number);
-- Pull requests whose ref may exist without a row, if the server was killed between the two writes.
CREATE TABLE reserved(repo INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(repo, number)) WITHOUT ROWID;
)";

}  // namespace

std::shared_ptr<Database> open_store_database(const std::filesystem::path& data_folder) {
  make_private_folder(data_folder);
  return Database::open(data_folder / "hub.sqlite", kTables, kVersion);
}

}  // namespace depickle::server::repos
