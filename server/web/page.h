// Serves the files of web/, which are embedded in the program.
#pragma once

#include <string_view>

#include "server/http/router.h"

namespace depickle::server::web {

/// Adds `/`, `/check`, `/inspect`, `/jobs` and `/jobs/{id}`, which all serve tasks/index.html, and `/-/PATH` for each
/// file of web/. `/-/` cannot be a repository: the name of a user or an organization does not begin with a hyphen.
void add_page_routes(http::Router& router);

/// Returns a file of web/ with its content type, ETag and security headers; 304 if the browser has the same version,
/// 404 if the file does not exist.
http::Response file_response(const http::Request& request, std::string_view path, int status = 200);

}  // namespace depickle::server::web
