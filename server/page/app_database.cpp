// The tables of app.sqlite.
#include "server/base/database.h"
#include "server/base/sync.h"
#include "server/page/jobs.h"

namespace depickle::server::page {
namespace {

constexpr int kVersion = 1;
constexpr const char* kTables = R"(
-- Times in milliseconds since 1970. Tokens are not stored; has_token tells that the job had one.
CREATE TABLE jobs(sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, visitor TEXT NOT NULL,
  kind INTEGER NOT NULL,
  address TEXT NOT NULL, repo TEXT NOT NULL, revision TEXT NOT NULL, path TEXT NOT NULL, number INTEGER NOT NULL,
  pull_request INTEGER NOT NULL,
  elsewhere INTEGER NOT NULL, has_token INTEGER NOT NULL, attempts INTEGER NOT NULL, state INTEGER NOT NULL,
  phase TEXT NOT NULL,
  created INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL, sentence TEXT NOT NULL,
  answer TEXT NOT NULL,
  error_code TEXT NOT NULL, error_message TEXT NOT NULL, error_hint TEXT NOT NULL, result TEXT NOT NULL,
  may_merge INTEGER NOT NULL, why_not TEXT NOT NULL, merge_number INTEGER NOT NULL, merge_head TEXT NOT NULL);
CREATE INDEX jobs_of ON jobs(visitor, sequence);
CREATE INDEX jobs_by_state ON jobs(state, sequence);
CREATE TABLE tensors(job INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, dtype TEXT NOT NULL,
  shape TEXT NOT NULL,
  elements INTEGER NOT NULL, bytes INTEGER NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL, verdict TEXT NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY(job, position)) WITHOUT ROWID;
)";

}  // namespace

std::shared_ptr<Database> open_database(const std::filesystem::path& data) {
  make_private_folder(data);
  return Database::open(data / "app.sqlite", kTables, kVersion);
}

}  // namespace depickle::server::page
