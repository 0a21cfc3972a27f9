// The commits of a repository and the differences between them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "server/base/time.h"

namespace depickle::server::git {

class Repository;

struct Commit {
  std::string id;       ///< 40 hexadecimal digits
  std::string title;    ///< the first line of the message
  std::string message;  ///< the rest of the message
  std::string author;   ///< a user name
  Moment date = 0;
  std::vector<std::string> parents;
};

struct CommitPage {
  std::vector<Commit> commits;  ///< newest first; of a pull request: its own commits, the base, the base's ancestors
  uint64_t total = 0;
};

// `commit` is 40 hexadecimal digits.

Commit read_commit(const Repository& git, const std::string& commit);
CommitPage read_log(const Repository& git, const std::string& commit, uint64_t offset, uint64_t limit);
/// Returns, for each of `paths`, the newest commit that changed it. Reads the history back to the oldest of these
/// commits.
std::vector<Commit> last_commits(const Repository& git, const std::string& commit, std::span<const std::string> paths);

}  // namespace depickle::server::git
