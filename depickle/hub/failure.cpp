#include "depickle/hub/failure.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/backoff.h"
#include "depickle/hub/http.h"

namespace depickle::hub {
namespace {

constexpr size_t kMaxMessageBytes = 300;

std::optional<std::chrono::seconds> parse_seconds(std::string_view text) {
  unsigned value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end == text.data() || (end != text.data() + text.size() && *end != ';')) return {};
  return std::chrono::seconds(value);
}

// The wait in `ratelimit: "api";r=0;t=55`, else in `Retry-After: 55`; one second more, because clocks differ.
std::optional<std::chrono::seconds> retry_after_of(const Response& response) {
  if (!is_transient(response.status)) return {};
  std::optional<std::chrono::seconds> wait;
  const std::string_view limit = response.header("ratelimit");
  if (response.status == 429 && limit.find(";r=0") != limit.npos) {
    if (size_t at = limit.find(";t="); at != limit.npos) wait = parse_seconds(limit.substr(at + 3));
  }
  if (!wait) wait = parse_seconds(response.header("retry-after"));
  if (wait) ++*wait;
  return wait;
}

// The Hub's error message: X-Error-Message, `error`, `error_description`, `message`, `errors[].message`, or a body that
// is not HTML.
std::string message_of(const Response& response) {
  std::string message(response.header("x-error-message"));
  auto add = [&](std::string_view more) {
    if (more.empty() || message.find(more) != message.npos) return;
    if (!message.empty()) message += "; ";
    message += more;
  };
  try {
    const JsonValue body = JsonValue::parse(response.body);
    add(body["error"].string());
    for (const JsonValue& one : body["error"].items()) add(one.string());
    add(body["error_description"].string());
    add(body["message"].string());
    for (const JsonValue& one : body["errors"].items()) add(one["message"].string());
  } catch (const Error&) {
    const bool is_html = response.header("content-type").find("html") != std::string_view::npos ||
                         response.body.find("<html") != std::string::npos;
    if (!is_html) add(response.body);
  }
  return printable(message, kMaxMessageBytes);
}

struct Explanation {
  Code code;
  std::string what;
  std::string hint;
};

std::string login_hint(bool has_token) {
  return has_token ? "the token may lack the permission: see the tokens in your settings on the Hub"
                   : "log in with `hf auth login`, or set HF_TOKEN";
}

// The errors that the Hub names, by X-Error-Code or by their message.
std::optional<Explanation> explain_named(std::string_view error_code, std::string_view message, bool has_token) {
  if (error_code == "RevisionNotFound")
    return Explanation{Code::not_found, "the revision does not exist in the repository",
        "see the repository's branches, tags and pull requests on the Hub"};
  if (error_code == "EntryNotFound")
    return Explanation{Code::not_found, "the file does not exist at this revision of the repository", {}};
  if (error_code == "GatedRepo")
    return Explanation{Code::denied, "the repository is gated: its owner decides who may read it",
        has_token ? "ask for access on the repository's page"
                  : "ask for access on the repository's page, then " + login_hint(false)};
  if (message == "Access to this resource is disabled.")
    return Explanation{Code::denied, "the Hub has disabled the repository", {}};
  if (error_code == "RepoNotFound")
    return Explanation{Code::not_found, "the repository does not exist, or it is private and access is denied",
        has_token ? "check the spelling, and that the token may read the repository"
                  : "check the spelling; for a private repository, " + login_hint(false)};
  return {};
}

Explanation explain_status(int status, bool has_token) {
  switch (status) {
    case 401:
      return {Code::denied, has_token ? "the Hub does not accept the token" : "the Hub requires a token",
          has_token ? "get a new one: `hf auth login`" : login_hint(false)};
    case 403: return {Code::denied, "the Hub does not allow this request", login_hint(has_token)};
    case 404: return {Code::not_found, "not found on the Hub", {}};
    case 409: return {Code::network, "it already exists, or it changed meanwhile", "read it again before you retry"};
    case 412: return {Code::network, "the branch has moved meanwhile", "read it again before you retry"};
    case 413: return {Code::limit, "the request is too large for the Hub", {}};
    case 416: return {Code::integrity, "the file is shorter than the Hub reported before", "try again"};
    case 429: return {Code::network, "too many requests to the Hub", "try again later"};
    default: break;
  }
  if (status == 408 || status >= 500) return {Code::network, "the Hub is unavailable", "try again later"};
  return {Code::malformed, "the Hub refuses the request", {}};
}

}  // namespace

Failure make_failure(const Response& response, std::string about, bool has_token) {
  const std::string error_code(response.header("x-error-code"));
  const std::string message = message_of(response);
  Explanation explanation =
      explain_named(error_code, message, has_token).value_or(explain_status(response.status, has_token));
  if (message.empty())
    explanation.what += fmt::format(" (status {})", response.status);
  else
    explanation.what += fmt::format(" (status {}: {})", response.status, message);
  const Failure failure(Error(explanation.code, "", explanation.what, Where::in(std::move(about)), explanation.hint),
      response.status, printable(error_code, 64), retry_after_of(response));
  return failure.at_commit(std::string(response.header("x-repo-commit")));
}

}  // namespace depickle::hub
