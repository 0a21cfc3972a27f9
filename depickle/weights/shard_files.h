// Lists the files on disk that an index may name as shards.
#pragma once

#include <filesystem>

#include "depickle/weights/weights.h"

namespace depickle::weights {

/// Lists the files in `folder` and its subfolders that have the name of a weights file, except those in hidden folders.
/// Stops after 100,000 entries, those of `folder` first. A link counts if it leads to a file below `folder`, or from a
/// snapshot of the Hub's cache to its blobs; opening any other link throws Error{unsafe}. Opens exactly the files that
/// were listed, by device and inode. Throws Error{not_found, io} if the folder cannot be read.
ShardFiles list_shard_files(const std::filesystem::path& folder);

}  // namespace depickle::weights
