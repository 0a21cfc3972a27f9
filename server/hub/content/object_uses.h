// When LFS objects were used last, see gc.h. All functions are safe to call from several threads and processes.
#pragma once

#include <cstdint>
#include <string_view>

#include "server/base/database.h"

namespace depickle::server::content {

/// Records that an upload of the object ends now, or that a client relies on an earlier one. Writes at most once an
/// hour for each object.
void record_use(Database& database, std::string_view oid);

/// Records that the repository has no commit any more that names `oid`; that it has none that names an LFS object if
/// `oid` is empty. Call it within a transaction.
void release_objects(Database& database, int64_t repo, std::string_view oid = {});

/// Returns the number in the address of the user's xet uploads. Clients cache by this address which xorbs exist.
int64_t xet_generation(Database& database, std::string_view user);
/// Changes the number, so that clients do not rely on older xorbs any more.
void begin_xet_generation(Database& database, std::string_view user);

}  // namespace depickle::server::content
