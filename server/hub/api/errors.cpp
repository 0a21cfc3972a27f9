#include "server/hub/api/errors.h"

#include <cerrno>

#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::api {
namespace {

struct ErrorStatus {
  int status;
  std::string_view code;
};

ErrorStatus status_of(StoreReason reason) {
  switch (reason) {
    case StoreReason::no_repo: return {404, "RepoNotFound"};
    case StoreReason::no_revision: return {404, "RevisionNotFound"};
    case StoreReason::no_entry: return {404, "EntryNotFound"};
    case StoreReason::no_discussion: return {404, "DiscussionNotFound"};
    case StoreReason::no_user: return {404, "UserNotFound"};
    case StoreReason::exists:
    case StoreReason::conflict: return {409, "Conflict"};
    case StoreReason::head_moved: return {412, "PreconditionFailed"};
    case StoreReason::malformed: return {400, "BadRequest"};
    case StoreReason::too_large: return {413, "TooLarge"};
    case StoreReason::over_quota: return {413, "QuotaExceeded"};
    case StoreReason::no_space: return {507, "InsufficientStorage"};
    case StoreReason::denied: return {403, "Forbidden"};
    case StoreReason::busy: return {503, "Busy"};
  }
  return {500, ""};
}

}  // namespace

http::Response error_response(int status, std::string_view code, std::string_view message) {
  std::string body;
  JsonWriter(body, JsonWriter::Style::compact).object().key("error").value(message).end();
  http::Response response = http::respond(status, std::move(body));
  if (!code.empty()) response.with("X-Error-Code", std::string(code));
  response.with("X-Error-Message", printable(message));
  return response;
}

void refuse(int status, std::string_view code, std::string_view message) {
  throw http::Abort(error_response(status, code, message), std::string(message));
}

http::Response explain(const http::Request&, const std::exception& problem) {
  if (auto* store_error = dynamic_cast<const StoreError*>(&problem)) {
    ErrorStatus result = status_of(store_error->reason());
    http::Response response = error_response(result.status, result.code, store_error->message());
    if (result.status == 503) response.with("Retry-After", "1");
    return response;
  }
  if (auto* error = dynamic_cast<const Error*>(&problem)) {
    if (error->code() == Code::malformed) return error_response(400, "BadRequest", error->message());
    if (error->code() == Code::limit) return error_response(413, "TooLarge", error->message());
    if (error->system_errno() == ENOSPC || error->system_errno() == EDQUOT)
      return error_response(507, "", "the disk of the Hub is full");
  }
  return error_response(500, "", "internal error of the Hub, see the server log");
}

}  // namespace depickle::server::api
