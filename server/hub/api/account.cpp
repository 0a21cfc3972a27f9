// The caller and repositories: whoami, create, delete, move, settings.
#include "server/hub/api/call.h"

namespace depickle::server::api {
namespace {

http::Response whoami(const Call& call) {
  if (!call.caller) refuse(401, "", "Invalid user token.");
  const repos::Caller& me = *call.caller;
  return json_response([&](JsonWriter& json) {
    json.object().key("type").value("user").key("id").value(me.user.id).key("name").value(me.user.name);
    json.key("fullname").value(me.user.name).key("email").value("").key("emailVerified").value(false);
    json.key("canPay").value(false).key("isPro").value(false).key("periodEnd").null().key("avatarUrl").value("");
    json.key("orgs").array().end();
    json.key("auth").object().key("type").value("access_token").key("accessToken").object();
    json.key("displayName").value(me.user.name).key("role").value(me.may_write ? "write" : "read");
    json.key("createdAt").value(iso_date(me.token_created_at)).end().end().end();
  });
}

/// Returns whether the member is given: it exists and is not null, which clients send for an omitted option.
bool is_given(const JsonValue& body, std::string_view key) { return body[key].exists() && !body[key].is_null(); }

/// Returns a text, or nullopt if it is not given. Throws 400 for another type.
std::optional<std::string> optional_text(const JsonValue& body, std::string_view key) {
  if (!is_given(body, key)) return std::nullopt;
  return required_text(body, key);
}

repos::RepoType type_in(const JsonValue& body) {
  auto name = optional_text(body, "type");
  auto type = name ? repos::repo_type(*name) : repos::RepoType::model;
  if (!type) refuse(400, "BadRequest", "the type is not model, dataset or space");
  return *type;
}

// Reads {"name", "organization"}. The name may be owner/name.
repos::RepoId id_in(const Call& call, const JsonValue& body) {
  std::string name = required_text(body, "name");
  if (name.find('/') == std::string::npos)
    name = optional_text(body, "organization").value_or(call.signed_in_caller().user.name) + "/" + name;
  return repos::RepoId::parse(type_in(body), name);
}

/// Reads "visibility" or "private". Returns nullopt if neither is given. An unknown value must not publish a private
/// repository, so it is a 400.
std::optional<bool> read_visibility(const JsonValue& body) {
  std::optional<bool> is_private;
  if (auto visibility = optional_text(body, "visibility")) {
    if (*visibility != "private" && *visibility != "public")
      refuse(400, "BadRequest", "visibility must be \"private\" or \"public\"");
    is_private = *visibility == "private";
  }
  if (!is_given(body, "private")) return is_private;
  auto flag = body["private"].boolean();
  if (!flag) refuse(400, "BadRequest", "private must be true or false");
  if (is_private && *is_private != *flag) refuse(400, "BadRequest", "visibility and private contradict each other");
  return flag;
}

void write_created(JsonWriter& json, const Call& call, const repos::RepoInfo& info) {
  json.key("url").value(call.web_url(info.id)).key("name").value(info.id.full()).key("id").value(info.object_id);
}

http::Response create_repo(const Call& call) {
  const repos::Caller& me = call.writer();
  JsonValue body = call.body();
  repos::RepoId id = id_in(call, body);
  repos::Repos& repos = call.hub.store.repos();
  if (!repos.may_create(id, me)) refuse(403, "Forbidden", "no permission to create repositories of " + id.owner);
  bool is_private = read_visibility(body).value_or(false);
  try {
    repos::RepoInfo created = repos.create(id, {.is_private = is_private}, me);
    return json_response([&](JsonWriter& json) {
      write_created(json.object(), call, created);
      json.end();
    });
  } catch (const StoreError& error) {
    if (error.reason() != StoreReason::exists) throw;
    // With exist_ok, clients read the address from the error.
    http::Response answer = json_response([&](JsonWriter& json) {
      json.object().key("error").value(
          "You already created this " + std::string(repos::singular(id.type)) + " repo: " + id.full());
      json.key("url").value(call.web_url(id)).end();
    });
    answer.status = 409;
    return answer.with("X-Error-Code", "Conflict");
  }
}

http::Response remove(const Call& call) {
  repos::RepoId id = id_in(call, call.body());
  call.repo_for(Need::write, id);
  call.hub.store.repos().remove(id);
  return http::respond(200, "{}");
}

http::Response move(const Call& call) {
  const repos::Caller& me = call.writer();
  JsonValue body = call.body();
  repos::RepoId from = repos::RepoId::parse(type_in(body), required_text(body, "fromRepo"));
  repos::RepoId to = repos::RepoId::parse(from.type, required_text(body, "toRepo"));
  call.repo_for(Need::write, from);
  if (!call.hub.store.repos().may_create(to, me))
    refuse(403, "Forbidden", "no permission to create repositories of " + to.owner);
  repos::RepoInfo moved = call.hub.store.repos().move(from, to);
  return json_response([&](JsonWriter& json) {
    write_created(json.object(), call, moved);
    json.end();
  });
}

std::optional<repos::Gate> gate_in(const JsonValue& body) {
  if (!is_given(body, "gated")) return std::nullopt;
  if (auto flag = body["gated"].boolean()) return *flag ? repos::Gate::automatic : repos::Gate::open;
  std::string mode = body["gated"].string();
  if (mode == "auto") return repos::Gate::automatic;
  if (mode == "manual") return repos::Gate::manual;
  refuse(400, "BadRequest", "gated must be false, \"auto\" or \"manual\"");
}

http::Response settings(const Call& call) {
  repos::RepoInfo info = call.repo_for(Need::write);
  JsonValue body = call.body();
  repos::SettingsChange change{.is_private = read_visibility(body), .gate = gate_in(body)};
  repos::RepoInfo changed = call.hub.store.repos().change(info.id, change);
  return json_response([&](JsonWriter& json) {
    json.object().key("private").value(changed.settings.is_private).key("gated");
    if (changed.settings.gate == repos::Gate::open)
      json.value(false);
    else
      json.value(changed.settings.gate == repos::Gate::automatic ? "auto" : "manual");
    json.end();
  });
}

http::Response auth_check(const Call& call) {
  call.repo_for(Need::read);
  return http::respond(200, "{}");
}

http::Response auth_check_write(const Call& call) {
  call.repo_for(Need::write);
  return http::respond(200, "{}");
}

// Clients call it before a commit with a README.md. This Hub accepts any front matter.
http::Response validate_yaml(const Call&) { return http::respond(200, R"({"errors":[],"warnings":[]})"); }

}  // namespace

void add_account_routes(http::Router& router, Hub& hub) {
  router.add("GET", "/api/whoami-v2", endpoint(hub, whoami));
  router.add_with_body("POST", "/api/repos/create", body_endpoint(hub, needs_writer, create_repo), http::Work::slow);
  router.add_with_body("DELETE", "/api/repos/delete", body_endpoint(hub, needs_writer, remove), http::Work::slow);
  router.add_with_body("POST", "/api/repos/move", body_endpoint(hub, needs_writer, move), http::Work::slow);
  router.add_with_body("POST", "/api/validate-yaml", dropped_body_endpoint(hub, needs_nothing, validate_yaml, 8 << 20));
  const std::string repo = "/api/{type}/{ns}/{name}";
  router.add_with_body("PUT", repo + "/settings", body_endpoint(hub, needs(Need::write), settings));
  router.add("GET", repo + "/auth-check", endpoint(hub, auth_check));
  router.add("GET", repo + "/auth-check/write", endpoint(hub, auth_check_write));
}

}  // namespace depickle::server::api
