// Finds the handler of a request.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/bodies.h"
#include "server/http/message.h"

namespace depickle::server::http {

/// Called on a worker with the head of a request, before a byte of its body is read. Checks who sends it and what it
/// may do, and returns the receiver of the body. Throws Abort.
using Opener = std::function<std::unique_ptr<Receiver>(Request&, const Bodies&)>;

/// Which workers run a route. Slow work can wait for a disk, a lock or another process, or takes more than some
/// milliseconds. It has workers of its own, so quick work does not wait for it.
enum class Work { quick, slow };

/// Why a guard rejects a request.
struct Rejection {
  int status;
  std::string text;
};
/// Checks the head of a request before its body is read. Called on workers, concurrently.
using Guard = std::function<std::optional<Rejection>(const Request&)>;

/// Matches the raw path segment by segment; an encoded slash does not end a segment. A pattern consists of
///   literal text        compared with the decoded segment
///   {name}              one segment, not empty; text may follow the brace, as in `{ns}/{name}.git`
///   {name:rev}          one segment, or refs/pr/N or refs/convert/NAME as three segments
///   {name:path}         all segments that follow, at least one; last in a pattern
/// Captures are percent-decoded. The first pattern that was added and matches wins. GET patterns answer HEAD too.
class Router {
 public:
  /// Adds a handler of requests without a body. The server does not read a body that a client sends anyway, and closes
  /// the connection after the response.
  void add(std::string_view methods, std::string_view pattern, Handler handler, Work work = Work::quick);
  /// Adds a handler of requests with a body. Only the receiver that the opener returns gets bytes of it, so a route
  /// cannot accept a body from a client that it has not checked. `work` is that of the receiver; a large body always
  /// is slow work, and the opener always is quick.
  void add_with_body(std::string_view methods, std::string_view pattern, Opener opener, Work work = Work::quick);
  /// Passes requests that no route of this router matches to `below`, which must outlive this router: all if `prefix`
  /// is "/", else those whose path begins with the segments of `prefix`. The first prefix that matches wins.
  void mount(std::string_view prefix, const Router& below);
  /// Sets the handler for paths that no pattern matches. It gets no body.
  void set_fallback(Handler handler) { fallback_.handler = std::move(handler); }
  const Handler& fallback() const noexcept { return fallback_.handler; }
  /// Sets the check of all requests if this is the server's router, also of those that no route matches; otherwise of
  /// the requests to a route of this router.
  void set_guard(Guard guard) { guard_ = std::move(guard); }
  /// Sets how this router's own errors (400, 404, 405, 413 and the guard's) become responses. Default:
  /// {"error": text}.
  void set_error_response(std::function<Response(int status, std::string_view text)> make) {
    error_response_ = std::move(make);
  }

  struct Route {
    std::vector<std::string> methods;
    std::vector<std::string> pattern;
    Handler handler;
    Opener opener;
    Work work = Work::quick;
  };
  struct Match {
    const Route& route;
    const Router& router;  ///< the router that the route was added to
  };
  /// Returns the route and sets the request's captures. Throws Abort with status 404 if no route matches, 405 if only
  /// the method does not match, 400 if the percent-encoding is broken, and the status of a guard that rejects the
  /// request.
  Match find(Request& request) const;
  /// Returns the routes of this router, without those of mounted ones.
  const std::vector<Route>& routes() const noexcept { return routes_; }
  Response error(int status, std::string_view text) const;

 private:
  const Route* match(const std::vector<std::string>& parts, std::string_view method, Request& request,
      std::vector<std::string>& allowed) const;
  const Router* mounted(const std::vector<std::string>& parts) const;
  /// Returns the router whose form the errors of this path have.
  const Router& error_router(const std::vector<std::string>& parts) const;
  /// Throws Abort, with an error of `errors`, if the guard of this router rejects the request.
  void run_guard(const Request& request, const Router& errors) const;

  std::vector<Route> routes_;
  std::vector<std::pair<std::vector<std::string>, const Router*>> mounts_;
  Route fallback_;
  Guard guard_;
  std::function<Response(int, std::string_view)> error_response_;
};

}  // namespace depickle::server::http
