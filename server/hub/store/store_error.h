// Why the store says no: one word for each answer that a client tells apart.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/error.h"

namespace depickle::server {

enum class StoreReason {
  no_repo,        ///< 404 RepoNotFound
  no_revision,    ///< 404 RevisionNotFound
  no_entry,       ///< 404 EntryNotFound
  no_discussion,  ///< 404
  no_user,        ///< 404
  exists,         ///< 409: repository, branch, tag or user
  head_moved,     ///< 412: the parent commit that the client named is not the head
  conflict,       ///< 409: a merge that would lose a change, a status that cannot change
  malformed,      ///< 400
  too_large,      ///< 413
  denied          ///< 403
};

/// An Error that a client caused. Anything else that leaves the store is the server's own trouble (500).
class StoreError : public Error {
 public:
  StoreError(StoreReason reason, std::string what, std::string hint = {}, std::vector<std::string> paths = {});

  StoreReason reason() const noexcept { return reason_; }
  /// The files that a merge conflicts in; else empty.
  const std::vector<std::string>& paths() const noexcept { return paths_; }

 private:
  StoreReason reason_;
  std::vector<std::string> paths_;
};

}  // namespace depickle::server
