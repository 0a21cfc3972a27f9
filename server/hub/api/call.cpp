#include "server/hub/api/call.h"

#include <strings.h>

#include "depickle/base/base64.h"
#include "server/http/target.h"

namespace depickle::server::api {
namespace {

bool starts_with_scheme(std::string_view text, std::string_view scheme) {
  return text.size() > scheme.size() && ::strncasecmp(text.data(), scheme.data(), scheme.size()) == 0 &&
         text[scheme.size()] == ' ';
}

http::Response challenge(std::string_view code, std::string_view message) {
  return error_response(401, code, message).with("WWW-Authenticate", R"(Basic realm="depickle Hub", charset="UTF-8")");
}

[[noreturn]] void throw_unauthorized(std::string_view code, std::string_view message) {
  throw http::Abort(challenge(code, message), std::string(message));
}

bool is_git_request(std::string_view raw_path) {
  return raw_path.find(".git/") != std::string_view::npos || raw_path.ends_with("/info/refs") ||
         raw_path.ends_with("/git-upload-pack");
}

std::string_view web_prefix(repos::RepoType type) {
  return type == repos::RepoType::model ? "" : type == repos::RepoType::dataset ? "datasets/" : "spaces/";
}

}  // namespace

std::string token_of(std::string_view authorization) {
  if (starts_with_scheme(authorization, "Bearer")) return std::string(authorization.substr(7));
  if (!starts_with_scheme(authorization, "Basic")) return {};
  std::string pair = base64_decode(authorization.substr(6)).value_or("");
  size_t colon = pair.find(':');
  return colon == std::string::npos ? "" : pair.substr(colon + 1);
}

Call::Call(Hub& hub_, const http::Request& request_) : hub(hub_), request(request_) {
  const std::string& authorization = request.field("Authorization");
  if (authorization.empty()) return;
  caller = hub.store.users().find_caller(token_of(authorization));
  if (!caller) throw_unauthorized("", "Invalid credentials in Authorization header");
}

const repos::Caller& Call::signed_in_caller() const {
  if (!caller) throw_unauthorized("Unauthorized", "this request needs a token of this Hub");
  return *caller;
}

const repos::Caller& Call::writer() const {
  const repos::Caller& signed_in = signed_in_caller();
  if (!signed_in.may_write) refuse(403, "Forbidden", "this token has no write permission");
  return signed_in;
}

std::string Call::origin() const {
  return (request.field("X-Forwarded-Proto") == "https" ? "https://" : "http://") + request.field("Host");
}

std::string Call::web_url(const repos::RepoId& id) const {
  return origin() + "/" + std::string(web_prefix(id.type)) + id.full();
}

std::string Call::api_url(const repos::RepoId& id) const {
  return origin() + "/api/" + std::string(repos::plural(id.type)) + "/" + id.full();
}

repos::RepoId Call::repo_id() const {
  repos::RepoType type = repos::RepoType::model;
  if (const std::string& name = request.captured("type"); !name.empty()) {
    auto known = repos::repo_type(name);
    if (!known || repos::plural(*known) != name) refuse(404, "", "this address does not exist");
    type = *known;
  }
  try {
    return repos::RepoId::parse(type, request.captured("ns") + "/" + request.captured("name"));
  } catch (const StoreError&) {
    refuse(404, "RepoNotFound", "Repository not found");  // no repository has an invalid name
  }
}

repos::RepoInfo Call::repo_for(Need need) const { return repo_for(need, repo_id()); }

repos::RepoInfo Call::repo_for(Need need, const repos::RepoId& id) const {
  auto info = hub.store.repos().find(id);
  if (!info || !rights(*info).see) {
    // git sends a token only after a 401. Other clients get the same response as for a repository that does not exist.
    if (!caller && is_git_request(request.raw_path())) throw_unauthorized("RepoNotFound", "Repository not found");
    refuse(404, "RepoNotFound", "Repository not found");
  }
  if (info->id != id) redirect(id, info->id);
  check(*info, need);
  return *info;
}

void Call::check(const repos::RepoInfo& info, Need need) const {
  repos::Rights granted = rights(info);
  if (need == Need::see) return;
  if (!granted.read && info.settings.is_disabled) {
    // huggingface_hub compares this text.
    refuse(403, "", "Access to this resource is disabled.");
  }
  if (!granted.read) {
    std::string message =
        "Access to " + std::string(repos::singular(info.id.type)) + " " + info.id.full() + " is restricted";
    if (!caller) throw_unauthorized("GatedRepo", message + ": this request needs a token");
    refuse(403, "GatedRepo", message + " and you are not in the authorized list");
  }
  bool is_allowed =
      need == Need::read || (need == Need::discuss && granted.discuss) || (need == Need::write && granted.write);
  if (is_allowed) return;
  if (!caller) throw_unauthorized("Unauthorized", "this request needs a token of this Hub");
  refuse(403, "Forbidden",
      caller->may_write ? "no permission to write to " + info.id.full() : "this token has no write permission");
}

void Call::redirect(const repos::RepoId& from, const repos::RepoId& to) const {
  // Names contain no characters that clients encode, so the raw path contains the old name unchanged.
  std::string location = request.target;
  size_t at = location.find("/" + from.full());
  if (at == std::string::npos) refuse(404, "RepoNotFound", "Repository not found");
  location.replace(at + 1, from.full().size(), to.full());
  http::Response response = http::respond(307, R"({"error":"this repository was renamed"})");
  response.with("Location", location);
  throw http::Abort(std::move(response), "renamed");
}

JsonValue Call::body() const {
  JsonValue value = parse_body(request.body.empty() ? "{}" : request.body);
  if (!value.is_object()) refuse(400, "BadRequest", "the body is not a JSON object");
  return value;
}

bool is_true(std::string_view value) { return value == "true" || value == "True" || value == "1"; }

bool query_flag(const http::Request& request, std::string_view parameter) {
  return is_true(request.query(parameter).value_or(""));
}

http::Response json_response(const std::function<void(JsonWriter&)>& write) {
  std::string body;
  JsonWriter json(body, JsonWriter::Style::compact);
  write(json);
  return http::respond(200, std::move(body));
}

void add_web_route(http::Router& router, std::string_view methods, const std::string& pattern,
    const http::Handler& handler, http::Work work) {
  for (std::string_view type : {"datasets", "spaces"})
    router.add(
        methods, "/" + std::string(type) + "/{ns}/{name}" + pattern,
        [type, handler](http::Request& request) {
          request.captures.emplace_back("type", type);
          return handler(request);
        },
        work);
  router.add(methods, "/{ns}/{name}" + pattern, handler, work);
}

}  // namespace depickle::server::api
