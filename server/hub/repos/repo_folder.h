// Repositories on the disk. Internal to this module.
#pragma once

#include <cstdint>

#include "server/hub/repos/store_parts.h"

namespace depickle::server::repos {

/// Creates the link to the git folder, for people and `git clone`.
void link_repo(const StoreParts& parts, const RepoInfo& repo);
/// Removes the folder and the rows of a repository. The repository is invisible from the first step on. If the server
/// is killed, opening the store completes the removal.
void remove_repo(StoreParts& parts, int64_t key);

}  // namespace depickle::server::repos
