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
/// Looks at the head of a request (may throw a Refusal before a byte of the body is read) and gives who takes the body.
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
  /// What answers a path that no pattern matches.
  void otherwise(Handler handler) { otherwise_ = std::move(handler); }

  struct Route {
    std::vector<std::string> methods;
    std::vector<std::string> pattern;
    Handler handler;
    Opener opener;
    uint64_t most_body_bytes;
  };
  /// The route, with the request's captures filled in; null where none matches. Throws a Refusal with 405 where only the method is
  /// wrong, 400 where an encoding is.
  const Route* find(Request& request) const;
  const Handler& fallback() const noexcept { return otherwise_; }

 private:
  std::vector<Route> routes_;
  Handler otherwise_;
};

}  // namespace depickle::server::http
