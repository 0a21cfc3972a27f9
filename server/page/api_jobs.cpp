// Routes that start, list, watch and cancel jobs.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "server/base/json_body.h"
#include "server/base/time.h"
#include "server/page/openapi.h"
#include "server/page/service.h"

namespace depickle::server::page {
namespace {

/// Parses the body as an object with these keys only.
JsonValue body_of(const http::Request& request, std::initializer_list<std::string_view> keys) {
  JsonValue value = parse_body(request.body.empty() ? "{}" : request.body);
  if (!value.is_object()) refuse(400, Code::malformed, "the body is not a JSON object");
  for (const auto& [key, member] : value.members())
    if (std::ranges::find(keys, key) == keys.end())
      refuse(400, Code::malformed, fmt::format("the body has an unknown member {}", quoted(key, 60)));
  return value;
}

/// Returns the member `key`, read by `read`, or nullopt if it is missing. Throws http::Abort with status 400 if it has
/// another type.
template <typename Value>
std::optional<Value> member(
    const JsonValue& body, std::string_view key, std::optional<Value> (JsonValue::*read)() const) {
  const JsonValue found = body[key];
  std::optional<Value> value = (found.*read)();
  if (!value && found.exists()) refuse(400, Code::malformed, fmt::format("\"{}\" has the wrong type", key));
  return value;
}

std::string token_in(const JsonValue& body) {
  std::string token = member(body, "token", &JsonValue::text).value_or("");
  if (!body["token"].exists()) return {};
  const bool is_plain =
      !token.empty() && token.size() <= 500 && std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; });
  if (!is_plain) refuse(400, Code::malformed, "the token is not valid", "copy it again without spaces");
  return token;
}

http::Response about(Service& service, const http::Request& request) {
  const Settings& settings = service.settings;
  std::string body;
  JsonWriter json(body, JsonWriter::Style::compact);
  json.object().key("version").value(settings.version).key("hub").object().key("url");
  json.value(settings.is_embedded ? "http://" + request.field("Host") : settings.hub);
  json.key("embedded").value(settings.is_embedded).end().key("account");
  const std::string account = service.account().name;
  account.empty() ? json.null() : json.value(account);
  json.key("personal").value(settings.is_personal).key("samples").array();
  if (settings.samples)
    for (const std::string& sample : settings.samples()) json.value(sample);
  json.end().key("limits").object().key("model_bytes").value(settings.limits.model_bytes);
  json.key("job_seconds").value(static_cast<uint64_t>(settings.limits.job.count()));
  json.key("queued_jobs").value(uint64_t{settings.limits.queued}).end().end();
  http::Response response = json_response(200, std::move(body));
  service.visitors.set_cookie(request, response);
  return response;
}

http::Response start(Service& service, const http::Request& request) {
  const JsonValue body = body_of(request, {"kind", "address", "number", "pull_request", "token"});
  const auto kind = find_kind(member(body, "kind", &JsonValue::text).value_or(""));
  if (!kind) refuse(400, Code::malformed, "\"kind\" is not plan, convert, check or inspect");
  const std::string address = member(body, "address", &JsonValue::text).value_or("");
  if (address.size() > 2000)
    refuse(400, Code::malformed,
        fmt::format("the address is too long (have {} bytes, need at most 2000)", address.size()));
  const auto number = member<uint64_t>(body, "number", &JsonValue::number);
  if (number && (*number == 0 || *number > INT32_MAX))
    refuse(400, Code::malformed, fmt::format("{} is not the number of a pull request", *number));
  const bool pull_request = member<bool>(body, "pull_request", &JsonValue::boolean).value_or(true);
  const Jobs::Added added = service.add(request, *kind, address, number.value_or(0), pull_request, token_in(body));
  http::Response response = json_response(added.is_new ? 201 : 200, to_json(added.job, true));
  return std::move(response.with("Location", "/jobs/" + added.job.id));
}

http::Response list(Service& service, const http::Request& request) {
  const uint64_t limit = number_of(request, "limit", 50, 1, 200);
  const auto before = request.query("before");
  if (before && !is_id(*before)) refuse(400, Code::malformed, "before is not a job id");
  std::string body = R"({"jobs":[)";
  bool first = true;
  for (const Job& job : service.jobs.list(service.visitors.id_of(request), limit, before.value_or(""))) {
    body += (first ? "" : ",") + to_json(job, false);
    first = false;
  }
  http::Response response = json_response(200, body + "]}");
  service.visitors.set_cookie(request, response);
  return response;
}

http::Response show(Service& service, const http::Request& request) {
  return json_response(200, to_json(job_at(service, request), true));
}

http::Response watch(Service& service, const http::Request& request) {
  const Job job = job_at(service, request);
  uint64_t seen = number_of(request, "last_event_id", 0, 0, 999'999'999'999'999'999);
  if (const std::string* field = request.fields.find("Last-Event-ID")) {
    auto [end, failed] = std::from_chars(field->data(), field->data() + field->size(), seen);
    if (failed != std::errc() || end != field->data() + field->size() || field->size() > 18)
      refuse(400, Code::malformed, "Last-Event-ID is not an event id");
  }
  if (auto channel = service.jobs.channel(job.id)) return event_response(channel->stream(seen));
  const Job ended = job_at(service, request);  // it may have ended since the first lookup
  return event_response(finished_stream(event_text(static_cast<uint64_t>(now_ms()), "end", to_json(ended, true))));
}

http::Response cancel(Service& service, const http::Request& request) {
  body_of(request, {});
  const Job job = job_at(service, request);
  if (job.visitor != service.visitors.id_of(request) && !service.settings.is_personal)
    refuse(403, Code::denied, "the job belongs to another visitor", "only the visitor who started it can cancel it",
        job.id);
  if (!service.jobs.cancel(job.id)) refuse(409, Code::cancelled, "the job has ended", "", job.id);
  return json_response(202, to_json(job_at(service, request), true));
}

}  // namespace

http::Response json_response(int status, std::string json) {
  http::Response response = http::respond(status, std::move(json), "application/json");
  return std::move(response.with("Cache-Control", "no-store").with("X-Content-Type-Options", "nosniff"));
}

Job job_at(const Service& service, const http::Request& request) {
  if (auto job = service.jobs.find(request.captured("id"))) return *std::move(job);
  refuse(404, Code::not_found, "the job does not exist", "check the address; ended jobs are deleted after some weeks");
}

uint64_t number_of(
    const http::Request& request, std::string_view name, uint64_t default_value, uint64_t min, uint64_t max) {
  const auto text = request.query(name);
  if (!text) return default_value;
  uint64_t number = 0;
  auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (text->empty() || failed != std::errc() || end != text->data() + text->size() || number < min || number > max)
    refuse(400, Code::malformed, fmt::format("{} is not a number from {} to {}", name, min, max));
  return number;
}

void add_job_routes(http::Router& router, Service& service) {
  router.add("GET", "/api/v1/about", api_handler(service, about));
  router.add("GET", "/api/v1/openapi.json",
      [](http::Request&) { return http::respond(200, std::string(openapi_json()), "application/json"); });
  router.add("GET", "/api/v1/jobs", api_handler(service, list));
  router.add_with_body("POST", "/api/v1/jobs", api_body_handler(service, start));
  router.add("GET", "/api/v1/jobs/{id}", api_handler(service, show));
  router.add("GET", "/api/v1/jobs/{id}/events", api_handler(service, watch));
  router.add_with_body("POST", "/api/v1/jobs/{id}/cancel", api_body_handler(service, cancel));
}

}  // namespace depickle::server::page
