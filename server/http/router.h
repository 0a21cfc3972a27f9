// Which handler answers which path.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/message.h"

namespace depickle::server::http {

/// Handlers run on workers, many at once.
using Handler = std::function<Response(Request&)>;
/// Looks at the head of a request (may throw a Abort before a byte of the body is read) and gives who takes the body.
using Opener = std::function<std::unique_ptr<Receiver>(Request&)>;

/// Matches the raw path, segment by segment: an encoded slash does not end a segment. A pattern is made of
///   literal text        compared decoded
///   {name}              one segment, not empty; `{ns}/{name}.git` may have text behind the brace
///   {name:rev}          one segment, or the literal prefixes refs/pr/N and refs/convert/NAME in clear
///   {name:path}         all that follows, at least one segment; last in a pattern
/// Captures are percent-decoded. The first pattern added that matches wins; GET patterns answer HEAD too.
class Router {
 public:
  /// A handler that is given the whole body in memory; a longer one is refused with 413.
  void add(std::string_view methods, std::string_view pattern, Handler handler, uint64_t most_body_bytes = 2 << 20);
  /// A handler that takes the body as it comes, however long.
  void add_streaming(std::string_view methods, std::string_view pattern, Opener opener);
  /// What no route here matches goes to `below`, which must outlive this router: all of it where `prefix` is "/", else the paths that
  /// begin with these whole segments. The first such prefix decides.
  void mount(std::string_view prefix, const Router& below);
  /// What answers a path that no pattern matches.
  void otherwise(Handler handler) { otherwise_.handler = std::move(handler); }
  const Handler& fallback() const noexcept { return otherwise_.handler; }
  /// Looks at the head of each request to a route of this router, before any byte of the body is read; refuses by throwing a Abort.
  void guard(std::function<void(const Request&)> look) { guard_ = std::move(look); }
  /// How this router itself says no (400, 404, 405, 413); without it, {"error": text}.
  void errors(std::function<Response(int status, std::string_view text)> make) { make_error_ = std::move(make); }

  struct Route {
    std::vector<std::string> methods;
    std::vector<std::string> pattern;
    Handler handler;
    Opener opener;
    uint64_t most_body_bytes = 64 << 10;
  };
  struct Match {
    const Route& route;
    const Router& router;  ///< that the route was added to
  };
  /// The route, with the request's captures filled in. Throws a Abort with 404 where none matches, 405 where only the method is wrong,
  /// 400 where an encoding is, and what the guard throws.
  Match find(Request& request) const;
  Response error(int status, std::string_view text) const;

 private:
  const Route* match(const std::vector<std::string>& parts, std::string_view method, Request& request,
      std::vector<std::string>& allowed) const;
  const Router* mounted(const std::vector<std::string>& parts) const;

  std::vector<Route> routes_;
  std::vector<std::pair<std::vector<std::string>, const Router*>> mounts_;
  Route otherwise_;
  std::function<void(const Request&)> guard_;
  std::function<Response(int, std::string_view)> make_error_;
};

}  // namespace depickle::server::http
