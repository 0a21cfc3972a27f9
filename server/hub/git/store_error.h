// Errors that a client of the Hub caused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/error.h"

namespace depickle::server {

/// Each reason has its own HTTP status and X-Error-Code.
enum class StoreReason {
  no_repo,        ///< 404 RepoNotFound
  no_revision,    ///< 404 RevisionNotFound
  no_entry,       ///< 404 EntryNotFound
  no_discussion,  ///< 404
  no_user,        ///< 404
  exists,         ///< 409: repository, branch, tag or user
  head_moved,     ///< 412: the client's parent commit is not the head
  conflict,       ///< 409: both sides changed a file, or the status does not allow the change
  malformed,      ///< 400
  too_large,      ///< 413
  over_quota,     ///< 413: the user's stored bytes
  no_space,       ///< 507: the upload would leave too little free space
  denied,         ///< 403
  busy            ///< 503: another request holds a lock for too long
};

/// An Error caused by a client. Any other exception is a failure of the server (500).
class StoreError : public Error {
 public:
  StoreError(StoreReason reason, std::string what, std::string hint = {}, std::vector<std::string> paths = {});

  StoreReason reason() const noexcept { return reason_; }
  /// The conflicting files of a merge; otherwise empty.
  const std::vector<std::string>& paths() const noexcept { return paths_; }

 private:
  StoreReason reason_;
  std::vector<std::string> paths_;
};

}  // namespace depickle::server
