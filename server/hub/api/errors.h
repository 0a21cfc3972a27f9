// Error responses: status, X-Error-Code and a JSON object, by which clients distinguish errors.
#pragma once

#include <exception>
#include <string_view>

#include "server/http/message.h"

namespace depickle::server::api {

/// `code` becomes X-Error-Code (RepoNotFound, RevisionNotFound, EntryNotFound, GatedRepo; may be empty), `message` both
/// X-Error-Message and the body's `error`: some clients read only the header.
http::Response error_response(int status, std::string_view code, std::string_view message);
/// Throws http::Abort with error_response().
[[noreturn]] void refuse(int status, std::string_view code, std::string_view message);

/// Returns the response to an exception of a handler: a StoreError by its reason, malformed JSON as 400, a full disk as
/// 507, which clients do not retry, anything else as 500 without details.
http::Response explain(const http::Request& request, const std::exception& problem);

}  // namespace depickle::server::api
