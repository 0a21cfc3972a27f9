// The page: what a browser loads. Everything is in the program; nothing is read from disk.
#pragma once

#include <string_view>

#include "server/http/router.h"

namespace depickle::server::web {

/// Serves `/`, `/check`, `/inspect`, `/jobs` and `/jobs/{id}` (one document, index.html), and each file of web/ below `/-/`, where no
/// repository can be: a namespace of a Hub does not begin with a hyphen.
void add_page_routes(http::Router& router);

/// One file of web/, by its path there, with its type, caching and the headers that keep it harmless; 304 where the browser has it already.
http::Response file_response(const http::Request& request, std::string_view path, int status = 200);

}  // namespace depickle::server::web
