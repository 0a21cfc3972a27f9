// How the API says no: {"error": {"code", "message", "hint"}}.
#pragma once

#include <string_view>

#include "server/http/message.h"
#include "server/page/job.h"

namespace depickle::server::page {

/// The one table from errors to statuses.
int status_of(Code code) noexcept;

http::Response error_response(int status, const Problem& problem, std::string_view job = {});
/// Throws it.
[[noreturn]] void refuse(int status, Code code, std::string message, std::string hint = {}, std::string_view job = {});

/// A handler whose errors are answered so. What is no Error is not explained to anybody but the log.
http::Response explained(
    const std::function<http::Response()>& handler, const std::function<void(std::string_view)>& log);

}  // namespace depickle::server::page
