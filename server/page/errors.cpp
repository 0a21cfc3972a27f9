#include "server/page/errors.h"

#include <strings.h>

#include "depickle/base/json.h"
#include "depickle/base/text.h"

namespace depickle::server::page {

int status_of(Code code) noexcept {
  switch (code) {
    case Code::malformed: return 400;
    case Code::denied: return 403;
    case Code::not_found: return 404;
    case Code::cancelled: return 409;
    case Code::unsupported:
    case Code::integrity:
    case Code::truncated:
    case Code::unsafe: return 422;
    case Code::limit: return 429;
    case Code::network: return 502;
    case Code::io: break;
  }
  return 500;
}

http::Response error_response(int status, const Problem& problem, std::string_view job) {
  std::string body;
  JsonWriter json(body, JsonWriter::Style::compact);
  json.object().key("error").object().key("code").value(problem.code).key("message").value(problem.message);
  json.key("hint").value(problem.hint);
  if (!job.empty()) json.key("job").value(job);
  json.end().end();
  http::Response response = http::respond(status, std::move(body), "application/json");
  response.with("Cache-Control", "no-store").with("X-Content-Type-Options", "nosniff");
  if (status == 429) response.with("Retry-After", "10");
  return response;
}

http::Response error_response(int status, std::string_view text) {
  std::string message(text);
  switch (status) {
    case 403: return error_response(403, {"denied", message, "use the page of this server"});
    case 404: return error_response(404, {"not_found", message, ""});
    case 413: return error_response(413, {"limit", message, ""});
    case 415: return error_response(415, {"malformed", message, "send Content-Type: application/json"});
    case 421:
      return error_response(421, Problem::of(Error(Code::denied, Reason::host_not_allowed, std::move(message))));
    default: return error_response(status, {"malformed", message, ""});
  }
}

std::optional<http::Rejection> require_json(const http::Request& request) {
  if (request.method != "POST") return std::nullopt;
  std::string_view type = request.field("Content-Type");
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  constexpr std::string_view kJson = "application/json";
  if (type.size() == kJson.size() && ::strncasecmp(type.data(), kJson.data(), kJson.size()) == 0) return std::nullopt;
  return http::Rejection{415, "the body is not application/json"};
}

void refuse(int status, const Problem& problem, std::string_view job) {
  throw http::Abort(error_response(status, problem, job), problem.message);
}

void refuse(int status, Code code, std::string message, std::string hint, std::string_view job) {
  refuse(status, {std::string(name(code)), std::move(message), std::move(hint)}, job);
}

http::Response catch_errors(
    const std::function<http::Response()>& handler, const std::function<void(std::string_view)>& log) {
  try {
    return handler();
  } catch (const http::Abort&) {
    throw;
  } catch (const Error& error) {
    const int status = status_of(error.code());
    if (status < 500 || status == 502) return error_response(status, Problem::of(error));
    log("api: " + std::string(error.what()));
  } catch (const std::exception& problem) {
    log("api: " + printable(problem.what()));
  }
  return error_response(500, {"failed", "internal server error", "try again; see the server log"});
}

}  // namespace depickle::server::page
