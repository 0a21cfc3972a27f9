// Rows and refs of pull requests. Internal to this module.
#pragma once

#include <string>
#include <string_view>

#include "server/hub/git/repository.h"
#include "server/hub/repos/discussions.h"
#include "server/hub/repos/store_parts.h"

namespace depickle::server::repos {

/// A discussion number as SQLite stores it.
inline int64_t signed_number(uint64_t number) { return static_cast<int64_t>(number); }

/// Reserves a discussion number, so that its ref may be created. If the server is killed before open_pull_request(),
/// opening the store removes the ref; if the disk fails, the next reservation does. The number stays unused.
class ReservedNumber {
 public:
  /// The lock is that of the repository.
  ReservedNumber(StoreParts& parts, int64_t repo, const RepoLock& lock);
  /// Removes the ref and the reservation unless open_pull_request() was called.
  ~ReservedNumber();
  ReservedNumber(const ReservedNumber&) = delete;
  ReservedNumber& operator=(const ReservedNumber&) = delete;

  uint64_t number() const noexcept { return number_; }
  std::string ref() const { return "refs/pr/" + std::to_string(number_); }
  /// Makes the pull request visible.
  void open_pull_request(std::string_view title, std::string_view description, std::string_view by, Status status,
      std::string_view base_ref, const git_oid& base_commit);

 private:
  StoreParts& parts_;
  int64_t repo_;
  uint64_t number_ = 0;
  bool used_ = false;
};

void remove_reserved(StoreParts& parts, int64_t repo, uint64_t number);
uint64_t next_number(StoreParts& parts, int64_t repo);
/// Inserts the row and the first comment. Call it within a transaction.
void insert_discussion(StoreParts& parts, int64_t repo, const Discussion& discussion, std::string_view base_commit,
    std::string_view description);
DiscussionEvent insert_event(StoreParts& parts, int64_t repo, uint64_t number, DiscussionEvent event);

/// Completes a merge, or undoes it. A merge stores its commit in the row, moves the branch, then calls this; opening
/// a store does too, in case the server was killed in between. Sets the status to merged if the branch contains the
/// commit; otherwise removes the commit from the row.
void settle_merge(StoreParts& parts, int64_t repo, uint64_t number);

/// Returns the first line of a title. Throws StoreError{malformed} if it is empty; {too_large}.
std::string checked_title(const StoreLimits& limits, std::string_view title);
void check_text(const StoreLimits& limits, std::string_view text);

}  // namespace depickle::server::repos
