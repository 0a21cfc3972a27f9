// How the Hub says no: status, X-Error-Code and a JSON object, as the clients tell errors apart.
#pragma once

#include <exception>
#include <string_view>

#include "server/http/message.h"

namespace depickle::server::api {

/// `code` becomes X-Error-Code (RepoNotFound, RevisionNotFound, EntryNotFound, GatedRepo; may be empty), `message` both
/// X-Error-Message and the body's `error`: a client that does not read bodies reads the header.
http::Response error_response(int status, std::string_view code, std::string_view message);
[[noreturn]] void refuse(int status, std::string_view code, std::string_view message);

/// What a handler threw, as a response: a store's StoreError by its reason, JSON that is none as 400, anything else as 500 without details.
http::Response explain(const http::Request& request, const std::exception& problem);

}  // namespace depickle::server::api
