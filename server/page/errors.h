// Error responses of the API: {"error": {"code", "message", "hint"}}.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "server/http/router.h"
#include "server/page/job.h"

namespace depickle::server::page {

/// Returns the HTTP status of an error code.
int status_of(Code code) noexcept;

http::Response error_response(int status, const Problem& problem, std::string_view job = {});
/// Returns the response to an error of the router or of a guard.
http::Response error_response(int status, std::string_view text);
/// Rejects a POST whose body is not JSON: a form of another site cannot send JSON.
std::optional<http::Rejection> require_json(const http::Request& request);
/// Throws http::Abort with an error response.
[[noreturn]] void refuse(int status, const Problem& problem, std::string_view job = {});
[[noreturn]] void refuse(int status, Code code, std::string message, std::string hint = {}, std::string_view job = {});

/// Runs a handler and turns its exceptions into error responses. The text of an internal error goes to the log only.
http::Response catch_errors(
    const std::function<http::Response()>& handler, const std::function<void(std::string_view)>& log);

}  // namespace depickle::server::page
