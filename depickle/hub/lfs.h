// Large files to a Hub's store, by the batch API of git-lfs.
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

/// Sends those objects that the store does not hold: in one piece, or in parts where it asks for parts, several at a time.
/// `branch` is left empty for a pull request: who may only read cannot name one. Progress: phase "upload".
void send_objects(const Client& client, const RepoId& repo, std::string_view branch, std::span<const LfsObject> objects,
    const Progress& progress);

}  // namespace depickle::hub
