// Uploads large files with the batch API of Git LFS.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "depickle/base/progress.h"
#include "depickle/hub/client.h"
#include "depickle/hub/commit.h"

namespace depickle::hub {

struct LfsObject {
  const Addition* addition;
  std::string sha256;
  uint64_t size_bytes;
};

/// Uploads the objects that the store lacks, several at a time: in one piece, or in parts if the store asks for parts.
/// `branch` is empty for a pull request: a user without write access must not name a branch. Progress: phase "upload".
void upload_objects(const Client& client, const RepoId& repo, std::string_view branch,
    std::span<const LfsObject> objects, const Progress& progress);

}  // namespace depickle::hub
