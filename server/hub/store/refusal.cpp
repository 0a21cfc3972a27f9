#include "server/hub/store/refusal.h"

#include <utility>

namespace depickle::server {
namespace {

Code code_of(Reason reason) {
  switch (reason) {
    case Reason::exists: return Code::io;
    case Reason::head_moved:
    case Reason::conflict: return Code::integrity;
    case Reason::malformed: return Code::malformed;
    case Reason::too_large: return Code::limit;
    case Reason::denied: return Code::denied;
    default: return Code::not_found;
  }
}

}  // namespace

Refusal::Refusal(Reason reason, std::string what, std::string hint, std::vector<std::string> paths)
    : Error(code_of(reason), "", std::move(what), {}, std::move(hint)),
      reason_(reason),
      paths_(std::move(paths)) {}

}  // namespace depickle::server
