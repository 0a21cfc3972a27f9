#include "server/hub/api/hub_api.h"

#include "server/hub/api/call.h"

namespace depickle::server::api {
namespace {

// In the text format of Prometheus.
http::Response metrics(const Hub& hub) {
  static const http::Counters kNoCounters;
  std::string out = http::metrics_text(hub.counters ? *hub.counters : kNoCounters);
  return http::respond(200, std::move(out), "text/plain; version=0.0.4");
}

// Not RepoNotFound: a client would take a route that this Hub does not have for a missing repository.
http::Response unknown(http::Request&) { return error_response(404, "", "this address does not exist"); }

http::Response router_error(int status, std::string_view text) {
  std::string message(text);
  if (status == 421) message += " (its operator can allow it: depickle serve --name HOST)";
  return error_response(status, status == 413 ? "TooLarge" : "", message);
}

}  // namespace

struct HubApi::State {
  State(repos::Store& store, uint64_t inline_up_to_bytes) : hub(store, inline_up_to_bytes) {
    router.set_error_response(router_error);
    router.add("GET", "/healthz", [](http::Request&) { return http::respond(200, R"({"status":"ok"})"); });
    router.add("GET", "/metrics", [this](http::Request&) { return metrics(hub); });
    // The most specific routes come first: `/api/{type}/{ns}/{name}` matches many of them.
    add_account_routes(router, hub);
    add_access_request_routes(router, hub);
    add_xet_routes(router, hub);
    add_lfs_routes(router, hub);
    add_commit_routes(router, hub);
    add_discussion_routes(router, hub);
    add_ref_routes(router, hub);
    add_file_routes(router, hub);
    add_info_routes(router, hub);
    add_git_routes(router, hub);
    add_markdown_routes(router, hub);
    router.set_fallback(unknown);
  }
  Hub hub;
  http::Router router;
};

HubApi::HubApi(repos::Store& store, uint64_t inline_up_to_bytes)
    : state_(std::make_unique<State>(store, inline_up_to_bytes)) {}
HubApi::~HubApi() = default;
http::Router& HubApi::router() noexcept { return state_->router; }
void HubApi::set_counters(const http::Counters& counters) { state_->hub.counters = &counters; }

http::Response HubApi::explain(const http::Request& request, const std::exception& problem) {
  return api::explain(request, problem);
}

}  // namespace depickle::server::api
