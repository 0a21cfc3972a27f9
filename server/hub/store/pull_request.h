// What a pull request needs beside its row: a number, a ref, a merge. Inside the store only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/hub/store/discussions.h"
#include "server/hub/store/git.h"
#include "server/hub/store/parts.h"
#include "server/hub/store/tree_editor.h"

namespace depickle::server {

/// A number that no other discussion has, whose ref may now be made. A store that is killed before open_pull_request() removes
/// the ref when it is opened again; the number stays unused.
class ReservedNumber {
 public:
  ReservedNumber(StoreParts& parts, int64_t repo);
  /// Gives it back, ref and all, unless used.
  ~ReservedNumber();
  ReservedNumber(const ReservedNumber&) = delete;
  ReservedNumber& operator=(const ReservedNumber&) = delete;

  uint64_t number() const noexcept { return number_; }
  std::string ref() const { return "refs/pr/" + std::to_string(number_); }
  /// From here on everybody sees it.
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
/// Row and first comment. Within a transaction.
void insert_discussion(StoreParts& parts, int64_t repo, const Discussion& discussion, std::string_view base_commit,
    std::string_view description);
Event insert_event(StoreParts& parts, int64_t repo, uint64_t number, Event event);

/// Applies to `editor` (the base branch as it is) what changed between two trees. → paths that the branch changed otherwise.
std::vector<std::string> merge_into(const Git& git, TreeEditor& editor, const git_tree* before, const git_tree* after);
/// Null where the two have no ancestor in common.
std::optional<git_oid> merge_base(const Git& git, const git_oid& a, const git_oid& b);

/// A merge writes its commit into the row, moves the branch, then calls this; so does opening a store that was killed in between.
/// The row says merged where the commit is in the branch, and forgets it where it is not.
void settle_merge(StoreParts& parts, const RepoInfo& repo, uint64_t number);

/// Titles: one line, not empty, within the limits. Throws StoreError{malformed, too_large}.
std::string checked_title(const Limits& limits, std::string_view title);
void check_text(const Limits& limits, std::string_view text);

}  // namespace depickle::server
