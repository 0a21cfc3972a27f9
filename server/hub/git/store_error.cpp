#include "server/hub/git/store_error.h"

#include <utility>

namespace depickle::server {
namespace {

Code code_of(StoreReason reason) {
  switch (reason) {
    case StoreReason::exists: return Code::io;
    case StoreReason::head_moved:
    case StoreReason::conflict: return Code::integrity;
    case StoreReason::malformed: return Code::malformed;
    case StoreReason::too_large:
    case StoreReason::over_quota: return Code::limit;
    case StoreReason::no_space: return Code::io;
    case StoreReason::denied: return Code::denied;
    case StoreReason::busy: return Code::io;
    default: return Code::not_found;
  }
}

}  // namespace

StoreError::StoreError(StoreReason reason, std::string what, std::string hint, std::vector<std::string> paths)
    : Error(code_of(reason), "", std::move(what), {}, std::move(hint)),
      reason_(reason),
      paths_(std::move(paths)) {}

}  // namespace depickle::server
