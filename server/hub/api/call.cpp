#include "server/hub/api/call.h"

#include <strings.h>

#include "depickle/base/base64.h"
#include "server/http/target.h"

namespace depickle::server::api {
namespace {

bool starts_with_word(std::string_view text, std::string_view word) {
  return text.size() > word.size() && ::strncasecmp(text.data(), word.data(), word.size()) == 0 &&
         text[word.size()] == ' ';
}

http::Response challenge(std::string_view code, std::string_view message) {
  return error_response(401, code, message).with("WWW-Authenticate", R"(Basic realm="depickle Hub", charset="UTF-8")");
}

[[noreturn]] void not_logged_in(std::string_view code, std::string_view message) {
  throw http::Abort(challenge(code, message), std::string(message));
}

bool is_git(std::string_view raw_path) {
  return raw_path.find(".git/") != std::string_view::npos || raw_path.ends_with("/info/refs") ||
         raw_path.ends_with("/git-upload-pack");
}

std::string_view web_prefix(RepoType type) {
  return type == RepoType::model ? "" : type == RepoType::dataset ? "datasets/" : "spaces/";
}

}  // namespace

std::string token_of(std::string_view authorization) {
  if (starts_with_word(authorization, "Bearer")) return std::string(authorization.substr(7));
  if (!starts_with_word(authorization, "Basic")) return {};
  std::string pair = base64_decode(authorization.substr(6)).value_or("");
  size_t colon = pair.find(':');
  return colon == std::string::npos ? "" : pair.substr(colon + 1);
}

Call::Call(Hub& hub_, const http::Request& request_) : hub(hub_), request(request_) {
  const std::string& authorization = request.field("Authorization");
  if (authorization.empty()) return;
  caller = hub.store.users().find_caller(token_of(authorization));
  if (!caller) not_logged_in("", "Invalid credentials in Authorization header");
}

const Caller& Call::someone() const {
  if (!caller) not_logged_in("Unauthorized", "a login is needed: send a token of this Hub");
  return *caller;
}

const Caller& Call::writer() const {
  if (!someone().may_write) refuse(403, "Forbidden", "this token may only read");
  return *caller;
}

std::string Call::origin() const {
  return (request.field("X-Forwarded-Proto") == "https" ? "https://" : "http://") + request.field("Host");
}

std::string Call::web_url(const RepoId& id) const {
  return origin() + "/" + std::string(web_prefix(id.type)) + id.full();
}

std::string Call::api_url(const RepoId& id) const {
  return origin() + "/api/" + std::string(plural(id.type)) + "/" + id.full();
}

RepoId Call::repo_id() const {
  RepoType type = RepoType::model;
  if (const std::string& word = request.captured("type"); !word.empty()) {
    auto known = repo_type(word);
    if (!known || plural(*known) != word) refuse(404, "", "there is nothing at this address");
    type = *known;
  }
  try {
    return RepoId::parse(type, request.captured("ns") + "/" + request.captured("name"));
  } catch (const StoreError&) {
    refuse(404, "RepoNotFound", "Repository not found");  // what cannot be a name is nobody's
  }
}

RepoInfo Call::repo_for(Need need) const { return repo_for(need, repo_id()); }

RepoInfo Call::repo_for(Need need, const RepoId& id) const {
  auto info = hub.store.repos().find(id);
  if (!info || !rights(*info).see) {
    // git asks for a login only when it is told to; the other clients must not learn whether there is anything.
    if (!caller && is_git(request.raw_path())) not_logged_in("RepoNotFound", "Repository not found");
    refuse(404, "RepoNotFound", "Repository not found");
  }
  if (info->id != id) redirect(id, info->id);
  check(*info, need);
  return *info;
}

void Call::check(const RepoInfo& info, Need need) const {
  Rights has = rights(info);
  if (need == Need::see) return;
  if (!has.read && info.settings.disabled) {
    // Exactly these words, or the client does not know.
    refuse(403, "", "Access to this resource is disabled.");
  }
  if (!has.read) {
    std::string message = "Access to " + std::string(singular(info.id.type)) + " " + info.id.full() + " is restricted";
    if (!caller) not_logged_in("GatedRepo", message + ": a login is needed");
    refuse(403, "GatedRepo", message + " and you are not in the authorized list");
  }
  bool may = need == Need::read || (need == Need::discuss && has.discuss) || (need == Need::write && has.write);
  if (may) return;
  if (!caller) not_logged_in("Unauthorized", "a login is needed: send a token of this Hub");
  refuse(403, "Forbidden",
      caller->may_write ? "you have no right to write to " + info.id.full() : "this token may only read");
}

void Call::redirect(const RepoId& from, const RepoId& to) const {
  // Names hold no character that is ever encoded, so the old one stands in the raw path as it is.
  std::string location = request.target;
  size_t at = location.find("/" + from.full());
  if (at == std::string::npos) refuse(404, "RepoNotFound", "Repository not found");
  location.replace(at + 1, from.full().size(), to.full());
  http::Response response = http::respond(307, R"({"error":"this repository has another name now"})");
  response.with("Location", location);
  throw http::Abort(std::move(response), "renamed");
}

JsonValue Call::body() const {
  JsonValue value = parse_body(request.body.empty() ? "{}" : request.body);
  if (!value.is_object()) refuse(400, "BadRequest", "the body is not a JSON object");
  return value;
}

bool means_yes(std::string_view value) { return value == "true" || value == "True" || value == "1"; }

bool asks_for(const http::Request& request, std::string_view parameter) {
  return means_yes(request.query(parameter).value_or(""));
}

http::Response json_response(const std::function<void(JsonWriter&)>& write) {
  std::string body;
  JsonWriter json(body, JsonWriter::Style::compact);
  write(json);
  return http::respond(200, std::move(body));
}

void add_web_route(
    http::Router& router, std::string_view methods, const std::string& pattern, const http::Handler& handler) {
  for (std::string_view word : {"datasets", "spaces"})
    router.add(methods, "/" + std::string(word) + "/{ns}/{name}" + pattern, [word, handler](http::Request& request) {
      request.captures.emplace_back("type", word);
      return handler(request);
    });
  router.add(methods, "/{ns}/{name}" + pattern, handler);
}

}  // namespace depickle::server::api
