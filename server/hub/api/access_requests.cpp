// Access requests of gated repositories.
#include "server/hub/repos/access_requests.h"
#include "server/hub/api/call.h"

namespace depickle::server::api {
namespace {

using repos::AccessRequest;
using repos::AccessStatus;

AccessStatus status_in(std::string_view text) {
  auto status = repos::access_status_named(text);
  if (!status) refuse(400, "BadRequest", "the status must be pending, accepted or rejected");
  return *status;
}

http::Response list_access_requests(const Call& call) {
  const repos::RepoInfo info = call.repo_for(Need::write);
  const AccessStatus status = status_in(call.request.captured("status"));
  const std::vector<AccessRequest> requests = call.hub.store.access_requests().list(info, status);
  return json_response([&](JsonWriter& json) {
    json.array();
    for (const AccessRequest& request : requests) {
      json.object().key("requestId").value(request.id).key("status").value(name(request.status));
      json.key("timestamp").value(iso_date(request.requested_at));
      json.key("user").object().key("user").value(request.user).key("fullname").value(request.user).end();
      json.end();
    }
    json.end();
  });
}

// Reads {"user" or "requestId", "status", "rejectionReason"}.
http::Response handle_access_request(const Call& call) {
  const repos::RepoInfo info = call.repo_for(Need::write);
  const JsonValue body = call.body();
  repos::AccessRequests& requests = call.hub.store.access_requests();
  const AccessStatus status = status_in(required_text(body, "status"));
  const std::string user = body["requestId"].exists() ? requests.user_of(info, required_text(body, "requestId"))
                                                      : required_text(body, "user");
  requests.set_status(info, user, status, body["rejectionReason"].string());
  return http::respond(200, "{}");
}

http::Response grant_access(const Call& call) {
  const repos::RepoInfo info = call.repo_for(Need::write);
  const AccessRequest request = call.hub.store.access_requests().grant(info, required_text(call.body(), "user"));
  return json_response([&](JsonWriter& json) {
    json.object().key("requestId").value(request.id).key("status").value(name(request.status)).end();
  });
}

// The form of the Hub's web page. Its fields are not stored.
http::Response ask_for_access(const Call& call) {
  const repos::RepoInfo info = call.repo_for(Need::see);
  const AccessRequest request = call.hub.store.access_requests().ask(info, call.signed_in_caller().user.name);
  if (request.status == AccessStatus::rejected) {
    refuse(403, "GatedRepo", "the access request was rejected" + (request.reason.empty() ? "" : ": " + request.reason));
  }
  return http::respond(303, "{}").with("Location", call.web_url(info.id));
}

void needs_signed_in_user(const Call& call) {
  call.signed_in_caller();
  call.repo_for(Need::see);
}

}  // namespace

void add_access_request_routes(http::Router& router, Hub& hub) {
  const std::string requests = "/api/{type}/{ns}/{name}/user-access-request";
  router.add_with_body("POST", requests + "/handle", body_endpoint(hub, needs(Need::write), handle_access_request));
  router.add_with_body("POST", requests + "/grant", body_endpoint(hub, needs(Need::write), grant_access));
  router.add("GET", requests + "/{status}", endpoint(hub, list_access_requests));
  for (std::string type : {"datasets", "spaces", ""}) {
    const http::Opener open = dropped_body_endpoint(hub, needs_signed_in_user, ask_for_access);
    router.add_with_body("POST", (type.empty() ? "" : "/" + type) + "/{ns}/{name}/ask-access",
        [type, open](http::Request& request, const http::Bodies& bodies) {
          if (!type.empty()) request.captures.emplace_back("type", type);
          return open(request, bodies);
        });
  }
}

}  // namespace depickle::server::api
