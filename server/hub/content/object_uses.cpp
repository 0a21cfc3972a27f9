#include "server/hub/content/object_uses.h"

#include "server/base/time.h"

namespace depickle::server::content {
namespace {

constexpr Moment kHour = 3'600'000;

}  // namespace

void record_use(Database& database, std::string_view oid) {
  const Moment now = now_ms();
  if (database.number("SELECT 1 FROM object_uses WHERE oid = ? AND used_at > ? AND used_at > COALESCE(released_at, 0)",
          {oid, now - kHour}))
    return;
  database.run(
      "INSERT INTO object_uses(oid, used_at) VALUES(?, ?) ON CONFLICT(oid) DO UPDATE SET used_at = excluded.used_at",
      {oid, now});
}

void release_objects(Database& database, int64_t repo, std::string_view oid) {
  // Objects to which no other repository refers, and the users who may have xorbs with their bytes.
  database.run(
      "INSERT INTO object_uses(oid, used_at, released_at) SELECT r.oid, 0, ?3 FROM repo_objects r WHERE r.repo = ?1 "
      "AND (?2 = '' OR r.oid = ?2) AND NOT EXISTS(SELECT 1 FROM repo_objects x WHERE x.oid = r.oid AND x.repo <> ?1) "
      "ON CONFLICT(oid) DO UPDATE SET released_at = excluded.released_at",
      {repo, oid, now_ms()});
  database.run(
      "INSERT INTO xet_generations SELECT DISTINCT w.user, 1 FROM object_owners w JOIN repo_objects r ON r.oid = w.oid "
      "WHERE r.repo = ?1 AND (?2 = '' OR r.oid = ?2) AND NOT EXISTS(SELECT 1 FROM repo_objects x WHERE x.oid = r.oid "
      "AND x.repo <> ?1) ON CONFLICT(user) DO UPDATE SET number = number + 1",
      {repo, oid});
  database.run("DELETE FROM repo_objects WHERE repo = ?1 AND (?2 = '' OR oid = ?2)", {repo, oid});
}

int64_t xet_generation(Database& database, std::string_view user) {
  return database.number("SELECT number FROM xet_generations WHERE user = ?", {user}).value_or(0);
}

void begin_xet_generation(Database& database, std::string_view user) {
  database.run("INSERT INTO xet_generations VALUES(?, 1) ON CONFLICT(user) DO UPDATE SET number = number + 1", {user});
}

}  // namespace depickle::server::content
