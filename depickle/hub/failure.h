// Error responses of a Hub.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "depickle/base/error.h"

namespace depickle::hub {

/// A response with a status of 400 or more. Codes: not_found (repository, revision, file), denied (token, gate,
/// permission), network (408, 429, 5xx: transient), limit (413), network for a conflict (409, 412: the state of the Hub
/// has changed, read it again), malformed for everything else (the Hub does not understand the request).
class Failure : public Error {
 public:
  Failure(const Error& error, int status, std::string error_code, std::optional<std::chrono::seconds> retry_after = {})
      : Error(error),
        status_(status),
        error_code_(std::move(error_code)),
        retry_after_(retry_after) {}

  int status() const noexcept { return status_; }
  /// The value of X-Error-Code: "RepoNotFound", "RevisionNotFound", "EntryNotFound", "GatedRepo"; may be empty.
  const std::string& error_code() const noexcept { return error_code_; }

  /// The value of X-Repo-Commit, which is the commit that lacks the file; may be empty.
  const std::string& commit() const noexcept { return commit_; }
  Failure at_commit(std::string commit) const {
    Failure copy = *this;
    copy.commit_ = std::move(commit);
    return copy;
  }
  /// The wait that the Hub asks for.
  std::optional<std::chrono::seconds> retry_after() const noexcept { return retry_after_; }

  /// The branch has moved (412), or the object to be created exists (409).
  bool is_conflict() const noexcept { return status_ == 409 || status_ == 412; }
  bool is_missing_repo() const noexcept { return error_code_ == "RepoNotFound"; }
  bool is_missing_revision() const noexcept { return error_code_ == "RevisionNotFound"; }
  bool is_missing_file() const noexcept { return error_code_ == "EntryNotFound"; }

 private:
  int status_;
  std::string error_code_, commit_;
  std::optional<std::chrono::seconds> retry_after_;
};

}  // namespace depickle::hub
