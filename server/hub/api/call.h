// One request to the Hub: its caller, its repository and the check of rights.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "depickle/base/json.h"
#include "server/base/json_body.h"
#include "server/base/signer.h"
#include "server/http/router.h"
#include "server/http/server.h"
#include "server/hub/api/errors.h"
#include "server/hub/repos/store.h"

namespace depickle::server::api {

/// The state that all endpoints share. It must outlive the server.
struct Hub {
  Hub(repos::Store& store_, uint64_t inline_up_to_bytes_)
      : store(store_),
        signer(store_.folder() / "signing.key"),
        inline_up_to_bytes(inline_up_to_bytes_) {}
  repos::Store& store;
  Signer signer;
  uint64_t
      inline_up_to_bytes;  ///< preupload asks for files up to this size in the commit, whatever the LFS patterns say
  const http::Counters* counters = nullptr;
  std::mutex clones_mutex;
  std::map<std::string, int, std::less<>> clones;  ///< running git processes, by address
  std::atomic<int> active_markdown_requests = 0;
};

/// What an endpoint needs, see repos::Rights.
enum class Need { see, read, discuss, write };

class Call {
 public:
  /// Reads the Authorization header (Bearer TOKEN, or Basic with the token as password). Throws 401 if the token is
  /// unknown.
  Call(Hub& hub_, const http::Request& request_);

  Hub& hub;
  const http::Request& request;
  std::optional<repos::Caller> caller;

  /// Null for an anonymous request.
  const repos::Caller* caller_or_null() const { return caller ? &*caller : nullptr; }
  http::Sender sender() const { return {caller ? caller->user.name : "", request.peer}; }
  /// Throws 401 for an anonymous request.
  const repos::Caller& signed_in_caller() const;
  /// Throws 401 for an anonymous request, 403 if the token is not a write token.
  const repos::Caller& writer() const;

  /// Returns "http://127.0.0.1:8080", with the host of the request: clients reject addresses with another host.
  std::string origin() const;
  /// "ORIGIN/me/demo", "ORIGIN/datasets/me/demo".
  std::string web_url(const repos::RepoId& id) const;
  std::string api_url(const repos::RepoId& id) const;

  /// Returns the repository of the path ({type}, {ns}, {name}). Throws 404 RepoNotFound if it does not exist or is
  /// hidden, 307 if it was renamed, 401 or 403 if the caller lacks the right.
  repos::RepoInfo repo_for(Need need) const;
  repos::RepoInfo repo_for(Need need, const repos::RepoId& id) const;
  /// Returns the id in the path.
  repos::RepoId repo_id() const;
  repos::Rights rights(const repos::RepoInfo& info) const { return hub.store.repos().rights(info, caller_or_null()); }
  /// Returns the body as a JSON object; an empty body is an empty object.
  JsonValue body() const;

 private:
  void check(const repos::RepoInfo& info, Need need) const;
  [[noreturn]] void redirect(const repos::RepoId& from, const repos::RepoId& to) const;
};

/// Returns the token of an Authorization header; empty if there is none.
std::string token_of(std::string_view authorization);

/// Returns whether a value of a query or a form is true. Clients write "true" (httpx), "True" (requests) or "1".
bool is_true(std::string_view value);
/// Returns whether a parameter of the query is true; false if it is missing.
bool query_flag(const http::Request& request, std::string_view parameter);

/// Returns a 200 with a JSON body.
http::Response json_response(const std::function<void(JsonWriter&)>& write);

/// Makes a handler of an endpoint for requests without a body.
template <typename Endpoint>
http::Handler endpoint(Hub& hub, Endpoint function) {
  return [&hub, function](http::Request& request) { return function(Call(hub, request)); };
}

/// Checks the head of a request before its body is read. Throws http::Abort.
using HeadCheck = std::function<void(const Call&)>;
inline HeadCheck needs(Need need) {
  return [need](const Call& call) { call.repo_for(need); };
}
inline void needs_writer(const Call& call) { call.writer(); }
inline void needs_nothing(const Call&) {}

/// Makes a route of an endpoint for requests with a body. `check` runs first; the endpoint checks the rights again,
/// because they may have changed while the body arrived.
template <typename Endpoint>
http::Opener body_endpoint(Hub& hub, HeadCheck check, Endpoint function, uint64_t max_body_bytes = 2 << 20) {
  return
      [&hub, check = std::move(check), function, max_body_bytes](http::Request& request, const http::Bodies& bodies) {
        const Call call(hub, request);
        check(call);
        return bodies.buffered(request, call.sender(), endpoint(hub, function), max_body_bytes);
      };
}
/// The same for an endpoint that does not use the body. It is dropped.
template <typename Endpoint>
http::Opener dropped_body_endpoint(Hub& hub, HeadCheck check, Endpoint function, uint64_t max_body_bytes = 2 << 20) {
  return
      [&hub, check = std::move(check), function, max_body_bytes](http::Request& request, const http::Bodies& bodies) {
        check(Call(hub, request));
        return bodies.dropped(request, endpoint(hub, function), max_body_bytes);
      };
}

// Each function adds the endpoints of one .cpp file.
void add_file_routes(http::Router& router, Hub& hub);
void add_info_routes(http::Router& router, Hub& hub);
void add_account_routes(http::Router& router, Hub& hub);
void add_ref_routes(http::Router& router, Hub& hub);
void add_commit_routes(http::Router& router, Hub& hub);
void add_lfs_routes(http::Router& router, Hub& hub);
void add_xet_routes(http::Router& router, Hub& hub);
void add_discussion_routes(http::Router& router, Hub& hub);
void add_git_routes(http::Router& router, Hub& hub);
void add_access_request_routes(http::Router& router, Hub& hub);
void add_markdown_routes(http::Router& router, Hub& hub);

/// Adds a route below the web address of a model, a dataset (/datasets) and a space (/spaces). For example, `pattern`
/// is "/resolve/{rev:rev}/{path:path}".
void add_web_route(http::Router& router, std::string_view methods, const std::string& pattern,
    const http::Handler& handler, http::Work work);

}  // namespace depickle::server::api
