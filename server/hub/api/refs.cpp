// Branches, tags and pull-request refs.
#include "server/hub/api/call.h"

namespace depickle::server::api {
namespace {

http::Response refs(const Call& call) {
  git::Refs all = call.hub.store.repo(call.repo_for(Need::read)).refs();
  const bool with_pull_requests = query_flag(call.request, "include_prs");
  return json_response([&](JsonWriter& json) {
    auto list = [&](std::string_view key, const std::vector<git::Ref>& refs) {
      json.key(key).array();
      for (const git::Ref& ref : refs)
        json.object()
            .key("name")
            .value(ref.name)
            .key("ref")
            .value(ref.full_name)
            .key("targetCommit")
            .value(ref.commit)
            .end();
      json.end();
    };
    json.object();
    list("branches", all.branches);
    list("tags", all.tags);
    list("converts", all.converts);
    if (with_pull_requests) list("pullRequests", all.pull_requests);
    json.end();
  });
}

http::Response done() { return http::respond(200, R"({"success":true})"); }

http::Response create_branch(const Call& call) {
  repos::Repo repo = call.hub.store.repo(call.repo_for(Need::write));
  repo.create_branch(call.request.captured("rev"), call.body()["startingPoint"].string());
  return done();
}

http::Response delete_branch(const Call& call) {
  call.hub.store.repo(call.repo_for(Need::write)).delete_branch(call.request.captured("rev"));
  return done();
}

http::Response create_tag(const Call& call) {
  repos::Repo repo = call.hub.store.repo(call.repo_for(Need::write));
  JsonValue body = call.body();
  repo.create_tag(required_text(body, "tag"), call.request.captured("rev"), body["message"].string(),
      call.signed_in_caller().user.name);
  return done();
}

http::Response delete_tag(const Call& call) {
  call.hub.store.repo(call.repo_for(Need::write)).delete_tag(call.request.captured("rev"));
  return done();
}

}  // namespace

void add_ref_routes(http::Router& router, Hub& hub) {
  const std::string repo = "/api/{type}/{ns}/{name}";
  router.add("GET", repo + "/refs", endpoint(hub, refs), http::Work::slow);
  router.add_with_body(
      "POST", repo + "/branch/{rev:rev}", body_endpoint(hub, needs(Need::write), create_branch), http::Work::slow);
  router.add("DELETE", repo + "/branch/{rev:rev}", endpoint(hub, delete_branch), http::Work::slow);
  router.add_with_body(
      "POST", repo + "/tag/{rev:rev}", body_endpoint(hub, needs(Need::write), create_tag), http::Work::slow);
  router.add("DELETE", repo + "/tag/{rev:rev}", endpoint(hub, delete_tag), http::Work::slow);
}

}  // namespace depickle::server::api
