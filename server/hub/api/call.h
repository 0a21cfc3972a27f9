// One request to the Hub: who sends it, about which repository, and whether they may.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "depickle/base/json.h"
#include "server/base/json_body.h"
#include "server/http/router.h"
#include "server/http/server.h"
#include "server/hub/api/errors.h"
#include "server/hub/api/signer.h"
#include "server/hub/store/store.h"

namespace depickle::server::api {

/// What every endpoint works with. Outlives the server.
struct Hub {
  Hub(Store& store_, uint64_t inline_up_to_bytes_)
      : store(store_),
        signer(store_.folder()),
        inline_up_to_bytes(inline_up_to_bytes_) {}
  Store& store;
  Signer signer;
  uint64_t inline_up_to_bytes;  ///< files that preupload wants in the commit, LFS patterns or not
  const http::Counters* counters = nullptr;
  std::atomic<int> clones = 0;  ///< git processes at work
};

enum class Need { see, read, discuss, write };

class Call {
 public:
  /// Reads the Authorization header (Bearer TOKEN, or Basic with the token as password). Throws 401 where the token is nobody's.
  Call(Hub& hub_, const http::Request& request_);

  Hub& hub;
  const http::Request& request;
  std::optional<Caller> caller;

  const Caller* who() const { return caller ? &*caller : nullptr; }
  /// The caller; throws 401 where nobody is logged in.
  const Caller& someone() const;
  /// The caller, with a write token; throws 401, 403.
  const Caller& writer() const;

  /// "http://127.0.0.1:8080", as the client called us: clients refuse addresses with another host.
  std::string origin() const;
  /// "ORIGIN/me/demo", "ORIGIN/datasets/me/demo".
  std::string web_url(const RepoId& id) const;
  std::string api_url(const RepoId& id) const;

  /// The repository of the path ({type}, {ns}, {name}). Throws 404 RepoNotFound where it is not there or hidden, 307 where it has
  /// another name now, 401/403 with what the clients tell apart where the caller may not.
  RepoInfo repo_for(Need need) const;
  RepoInfo repo_for(Need need, const RepoId& id) const;
  /// The id in the path.
  RepoId repo_id() const;
  Rights rights(const RepoInfo& info) const { return hub.store.repos().rights(info, who()); }
  /// The body as a JSON object; an empty body is an empty object.
  JsonValue body() const;

 private:
  void check(const RepoInfo& info, Need need) const;
  [[noreturn]] void redirect(const RepoId& from, const RepoId& to) const;
};

/// The token of an Authorization header; empty where there is none in it.
std::string token_of(std::string_view authorization);

/// Whether a value of a query or a form means yes. Clients spell it "true" (httpx), "True" (requests) or "1".
bool means_yes(std::string_view value);
/// The same of a parameter of the query; no where it is missing.
bool asks_for(const http::Request& request, std::string_view parameter);

/// Builds the JSON body of a 200.
http::Response json_response(const std::function<void(JsonWriter&)>& write);

/// Adapts an endpoint to the router.
template <typename Endpoint>
http::Handler endpoint(Hub& hub, Endpoint function) {
  return [&hub, function](http::Request& request) { return function(Call(hub, request)); };
}

// Each adds the endpoints of one subject.
void add_file_routes(http::Router& router, Hub& hub);
void add_info_routes(http::Router& router, Hub& hub);
void add_account_routes(http::Router& router, Hub& hub);
void add_ref_routes(http::Router& router, Hub& hub);
void add_commit_routes(http::Router& router, Hub& hub);
void add_lfs_routes(http::Router& router, Hub& hub);
void add_xet_routes(http::Router& router, Hub& hub);
void add_discussion_routes(http::Router& router, Hub& hub);
void add_git_routes(http::Router& router, Hub& hub);

/// `pattern` below the web address of a repository: "/resolve/{rev:rev}/{path:path}" as it is, and under /datasets and /spaces.
void add_web_route(
    http::Router& router, std::string_view methods, const std::string& pattern, const http::Handler& handler);

}  // namespace depickle::server::api
