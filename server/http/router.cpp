#include "server/http/router.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "server/http/target.h"

namespace depickle::server::http {
namespace {

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (true) {
    size_t end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// Splits a path into segments and decodes each, so that `a%2Fb` is one segment. Throws Abort with a response of
/// `router`.
std::vector<std::string> segments(std::string_view raw_path, const Router& router) {
  if (!raw_path.starts_with('/')) throw Abort(router.error(400, "the target is not a path"), "bad target");
  std::vector<std::string> parts;
  for (const std::string& raw : split(raw_path.substr(1), '/')) {
    auto decoded = percent_decoded(raw);
    if (!decoded) throw Abort(router.error(400, "the percent-encoding of the path is invalid"), "bad target");
    parts.push_back(std::move(*decoded));
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts, size_t from, size_t to) {
  std::string out = parts[from];
  for (size_t i = from + 1; i < to; ++i) out += "/" + parts[i];
  return out;
}

/// Returns the number of segments at `from` that are one revision: 3 for refs/pr/N and refs/convert/NAME, else 1.
size_t revision_segments(const std::vector<std::string>& parts, size_t from) {
  if (parts.size() - from < 3 || parts[from] != "refs") return 1;
  const std::string &kind = parts[from + 1], &name = parts[from + 2];
  bool number = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return (kind == "pr" && number) || (kind == "convert" && !name.empty()) ? 3 : 1;
}

/// `{name}`, `{name:kind}` or `{name}.tail`.
struct Placeholder {
  std::string name, kind, tail;
  explicit Placeholder(std::string_view text) {
    size_t close = text.find('}');
    std::string_view inner = text.substr(1, close - 1);
    size_t colon = inner.find(':');
    name = inner.substr(0, colon);
    if (colon != std::string_view::npos) kind = inner.substr(colon + 1);
    tail = text.substr(close + 1);
  }
};

using Captures = std::vector<std::pair<std::string, std::string>>;

std::optional<Captures> match(const std::vector<std::string>& pattern, const std::vector<std::string>& parts) {
  Captures captures;
  size_t at = 0;
  for (const std::string& piece : pattern) {
    if (at >= parts.size()) return std::nullopt;
    if (!piece.starts_with('{')) {
      if (parts[at++] != piece) return std::nullopt;
      continue;
    }
    Placeholder placeholder(piece);
    size_t count = placeholder.kind == "path"  ? parts.size() - at
                   : placeholder.kind == "rev" ? revision_segments(parts, at)
                                               : 1;
    std::string value = joined(parts, at, at + count);
    if (!value.ends_with(placeholder.tail) || value.size() == placeholder.tail.size()) return std::nullopt;
    value.resize(value.size() - placeholder.tail.size());
    captures.emplace_back(std::move(placeholder.name), std::move(value));
    at += count;
  }
  if (at != parts.size()) return std::nullopt;
  return captures;
}

}  // namespace

void Router::add(std::string_view methods, std::string_view pattern, Handler handler, Work work) {
  routes_.push_back({split(methods, '|'), split(pattern.substr(1), '/'), std::move(handler), {}, work});
}

void Router::add_with_body(std::string_view methods, std::string_view pattern, Opener opener, Work work) {
  routes_.push_back({split(methods, '|'), split(pattern.substr(1), '/'), {}, std::move(opener), work});
}

void Router::mount(std::string_view prefix, const Router& below) {
  std::vector<std::string> parts;
  if (prefix != "/") parts = split(prefix.substr(1), '/');
  mounts_.emplace_back(std::move(parts), &below);
}

Response Router::error(int status, std::string_view text) const {
  return error_response_ ? error_response_(status, text) : plain_error(status, text);
}

const Router::Route* Router::match(const std::vector<std::string>& parts, std::string_view method, Request& request,
    std::vector<std::string>& allowed) const {
  for (const Route& route : routes_) {
    auto captures = http::match(route.pattern, parts);
    if (!captures) continue;
    if (std::find(route.methods.begin(), route.methods.end(), method) == route.methods.end()) {
      allowed.insert(allowed.end(), route.methods.begin(), route.methods.end());
      continue;
    }
    request.captures = std::move(*captures);
    return &route;
  }
  return nullptr;
}

const Router* Router::mounted(const std::vector<std::string>& parts) const {
  for (const auto& [prefix, below] : mounts_)
    if (parts.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), parts.begin())) return below;
  return nullptr;
}

const Router& Router::error_router(const std::vector<std::string>& parts) const {
  const Router* found = this;
  for (const Router* router = mounted(parts); router; router = router->mounted(parts))
    if (router->fallback_.handler || router->error_response_) found = router;
  return *found;
}

void Router::run_guard(const Request& request, const Router& errors) const {
  if (!guard_) return;
  if (std::optional<Rejection> rejection = guard_(request))
    throw Abort(errors.error(rejection->status, rejection->text), "rejected by a guard");
}

Router::Match Router::find(Request& request) const {
  const std::vector<std::string> parts = segments(request.raw_path(), *this);
  const Router& errors = error_router(parts);
  run_guard(request, errors);
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  std::vector<std::string> allowed;
  const Router* router = this;
  while (true) {
    if (const Route* route = router->match(parts, method, request, allowed)) {
      if (!is_form(request.raw_query()))
        throw Abort(router->error(400, "the percent-encoding of the query is invalid"), "bad target");
      if (router != this) router->run_guard(request, *router);
      return {*route, *router};
    }
    const Router* below = router->mounted(parts);
    if (!below) break;
    router = below;
  }
  if (!allowed.empty()) {
    std::sort(allowed.begin(), allowed.end());
    allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
    Response response = errors.error(405, "this path does not support this method");
    throw Abort(std::move(response.with("Allow", fmt::format("{}", fmt::join(allowed, ", ")))), "bad method");
  }
  if (!router->fallback_.handler) throw Abort(router->error(404, "this path does not exist"), "not found");
  return {router->fallback_, *router};
}

}  // namespace depickle::server::http
