#include "server/web/page.h"

#include <algorithm>
#include <string>

#include "server/web/files.h"

namespace depickle::server::web {
namespace {

// No inline scripts or styles, no other hosts, no embedding in a frame.
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

std::string_view content_type(std::string_view path) {
  if (path.ends_with(".html")) return "text/html; charset=utf-8";
  if (path.ends_with(".css")) return "text/css; charset=utf-8";
  if (path.ends_with(".js")) return "text/javascript; charset=utf-8";
  return "image/svg+xml; charset=utf-8";
}

const File* find(std::string_view path) {
  std::span<const File> all = files();
  auto at = std::lower_bound(
      all.begin(), all.end(), path, [](const File& file, std::string_view wanted) { return file.path < wanted; });
  return at != all.end() && at->path == path ? &*at : nullptr;
}

/// Whether If-None-Match contains the ETag: alone, in a list, or weak (W/"…", as a compressing proxy writes it).
bool etag_matches(const http::Request& request, std::string_view etag) {
  return request.field("If-None-Match").find(etag) != std::string::npos;
}

http::Handler document(std::string path) {
  return [path = std::move(path)](http::Request& request) { return file_response(request, path); };
}

}  // namespace

http::Response file_response(const http::Request& request, std::string_view path, int status) {
  const File* file = find(path);
  if (!file) return http::respond(404, "file not found\n", "text/plain; charset=utf-8");
  bool is_cached = status == 200 && etag_matches(request, file->etag);
  http::Response response;
  response.status = is_cached ? 304 : status;
  if (!is_cached) response.body = std::string(file->content);
  // With no-cache the browser always asks, so it never mixes files of two versions of the program.
  response.with("ETag", std::string(file->etag)).with("Cache-Control", "no-cache");
  response.with("Content-Type", std::string(content_type(path))).with("X-Content-Type-Options", "nosniff");
  response.with("Content-Security-Policy", std::string(kContentSecurityPolicy)).with("Referrer-Policy", "no-referrer");
  response.with("Cross-Origin-Opener-Policy", "same-origin").with("Cross-Origin-Resource-Policy", "same-origin");
  return response;
}

void add_page_routes(http::Router& router) {
  for (std::string_view path : {"/", "/check", "/inspect", "/jobs", "/jobs/{id}"})
    router.add("GET", path, document("tasks/index.html"));
  router.add("GET", "/favicon.ico", document("shared/icon.svg"));
  router.add(
      "GET", "/-/{path:path}", [](http::Request& request) { return file_response(request, request.captured("path")); });
}

}  // namespace depickle::server::web
