#include "server/web/hub_pages.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "server/web/page.h"

namespace depickle::server::web {
namespace {

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1);  // "/"
    size_t end = std::min(path.find('/'), path.size());
    if (end > 0) parts.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return parts;
}

/// Whether the path is that of a page; the same rules as parsePath() in web/hub/urls.js.
bool is_page(std::string_view raw_path) {
  static constexpr std::string_view kKinds[] = {"tree", "blob", "commits", "commit", "discussions"};
  std::vector<std::string_view> parts = segments(raw_path);
  const bool has_prefix = !parts.empty() && (parts[0] == "datasets" || parts[0] == "spaces");
  if (has_prefix) parts.erase(parts.begin());
  if (parts.size() <= 2) return parts.size() == 2 || (parts.size() == 1 && !has_prefix);
  return std::find(std::begin(kKinds), std::end(kKinds), parts[2]) != std::end(kKinds) &&
         (parts.size() > 3 || parts[2] == "discussions");
}

bool is_page_request(const http::Request& request) {
  std::string_view path = request.raw_path();
  bool may_be_page = !path.starts_with("/api/") && !path.starts_with("/-/") && path.find("/resolve/") == path.npos;
  return may_be_page && (request.method == "GET" || request.method == "HEAD") &&
         request.field("Accept").find("text/html") != std::string::npos;
}

}  // namespace

void add_hub_page_routes(http::Router& router) {
  router.set_fallback([before = router.fallback()](http::Request& request) {
    if (!is_page_request(request)) return before(request);
    http::Response page = file_response(request, "hub/index.html", is_page(request.raw_path()) ? 200 : 404);
    return page.with("Vary", "Accept");
  });
}

}  // namespace depickle::server::web
