// Repositories on the disk. Inside the store only.
#pragma once

#include <cstdint>

#include "server/hub/store/parts.h"

namespace depickle::server {

/// The link by which people and `git clone` find it.
void link_repo(const StoreParts& parts, const RepoInfo& repo);
/// Folder and rows, in an order that a kill cannot break: nobody sees it from the first step on, and opening the store ends the job.
void remove_repo(StoreParts& parts, int64_t key);

}  // namespace depickle::server
