// Removes content that nothing needs any more. Safe while servers and other collections use the same data folder: a
// short transaction of the database decides about each object and xorb, and uploads publish theirs in one, too. A file
// is renamed into tmp/ and deleted afterwards, so a kill at any moment leaves a folder that works.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "server/hub/content/trash.h"

namespace depickle::server::content {

struct CollectOptions {
  /// Uploads that no commit names are kept for this time after their last request.
  std::chrono::milliseconds upload_age = std::chrono::hours(24 * 7);
  /// Objects are kept for this time after the last commit that names them was deleted. An upload may rely on them:
  /// longer than the life of an upload's token (12 hours).
  std::chrono::milliseconds released_age = std::chrono::hours(24);
  bool dry_run = false;
};

struct RemovedContent {
  Removed objects;    ///< LFS objects
  Removed xorbs;      ///< packs of chunks of xet uploads
  Removed uploads;    ///< unfinished uploads in parts
  Removed temporary;  ///< files of ended requests, and files without a row in the database
};

/// Called after each removed item, with the bytes removed so far. May throw to stop the collection.
using CollectProgress = std::function<void(uint64_t removed_bytes)>;

/// `context.database` should be a connection of its own: queries take long. Objects count as unused if no row of
/// `repo_objects` names them except those in the temporary table `dead_references`, which must exist.
RemovedContent remove_unused_content(
    const Context& context, const CollectOptions& options, const CollectProgress& progress);

}  // namespace depickle::server::content
