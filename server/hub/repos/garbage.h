// Removes what no repository needs any more from a data folder. A server may use the folder at the same time.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/hub/content/gc.h"

namespace depickle::server::repos {

struct GarbageOptions : content::CollectOptions {
  /// Reads the commits of repositories only if a ref was deleted. Otherwise reads those of all.
  bool only_changed_repos = false;
  /// Called with what is done and how far. May throw to stop.
  std::function<void(std::string_view phase, std::string_view state)> progress;
};

struct Garbage : content::RemovedContent {
  uint64_t references = 0;            ///< objects that no commit of a repository names any more
  std::vector<std::string> problems;  ///< repositories that could not be read. Their objects were kept
};

/// Removes LFS objects that no commit names which a ref of any repository reaches; xorbs whose objects do not exist,
/// and those that wait for a shard; unfinished uploads; temporary files. Keeps what is younger than the ages of
/// `options`. Does not remove unreachable objects of git. Throws Error{not_found} if `data_folder` has no database of
/// a Hub; {io}.
Garbage collect_garbage(const std::filesystem::path& data_folder, const GarbageOptions& options);

}  // namespace depickle::server::repos
