#include "depickle/hub/http.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/backoff.h"
#include "depickle/hub/url.h"

namespace depickle::hub {
namespace {

constexpr size_t kMaxResponseBytes = 64 << 20;
constexpr int kMaxRedirects = 20;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

using Headers = std::vector<std::pair<std::string, std::string>>;

// The Hub describes a file in the head of its own response, even if that is a redirect to a store.
void keep_metadata(const Response& response, Headers& metadata) {
  for (const auto& header : response.headers) {
    if (header.first == "x-repo-commit" || header.first == "x-linked-etag" || header.first == "x-linked-size")
      metadata.push_back(header);
  }
}

void check_headers(const std::vector<std::string>& headers) {
  for (const std::string& header : headers) {
    if (header.find_first_of(std::string_view("\r\n\0", 3)) != header.npos)
      throw Error(Code::malformed, "", "a header in the response of the Hub contains control characters");
  }
}

std::string about_of(const Request& request) {
  return request.about.empty() ? without_query(request.url) : request.about;
}

[[noreturn]] void refuse_redirect(const Request& request, std::string_view why) {
  throw Error(Code::malformed, "", fmt::format("the Hub redirects {}", why), Where::in(about_of(request)));
}

}  // namespace

Http::Http(const Settings& settings)
    : settings_(settings),
      origin_(origin_of(settings.endpoint).value_or("")),
      transfers_(settings) {
  if (origin_.empty())
    throw Error(Code::malformed, "", fmt::format("the endpoint {} is not a URL", quoted(settings.endpoint)), {},
        "an endpoint begins with https:// or http://");
  if (settings.token.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    throw Error(Code::malformed, "", "the token contains control characters");
}

bool Http::is_hub(const std::string& url) const { return origin_of(url) == origin_; }

std::string Http::redacted(std::string text) const {
  if (settings_.token.empty()) return text;
  for (size_t at; (at = text.find(settings_.token)) != text.npos;) text.replace(at, settings_.token.size(), "***");
  return text;
}

Failure Http::failure_of(const Request& request, const Response& response) const {
  Response safe = response;
  safe.body = redacted(std::move(safe.body));
  for (auto& header : safe.headers) header.second = redacted(std::move(header.second));
  return make_failure(safe, about_of(request), !settings_.token.empty());
}

Response Http::send_to(const std::string& url, const Request& request, const Transfers::OnBody& on_body) {
  HttpRequest sent{.method = request.method, .url = url, .headers = request.headers, .file = request.file};
  if (request.body) sent.body = &*request.body;
  sent.is_repeatable = request.is_repeatable;
  sent.on_sent = request.on_sent;
  if (request.method == "HEAD") sent.headers.push_back("Accept-Encoding: identity");
  if (!settings_.token.empty() && !request.is_anonymous && is_hub(url))
    sent.headers.push_back("Authorization: Bearer " + settings_.token);
  check_headers(sent.headers);

  const bool may_be_signed = url.find("/api/") == url.npos || !is_hub(url);
  auto trace = [&](std::string_view outcome) {
    if (!settings_.trace) return;
    const std::string shown = printable(may_be_signed ? without_query(url) : url, 2000);
    settings_.trace(redacted(fmt::format("{} {} -> {}", request.method, shown, outcome)));
  };
  try {
    Response response = transfers_.run(sent, on_body);
    trace(fmt::format("{}", response.status));
    return response;
  } catch (const ConnectionError& error) {
    trace(error.message());
    throw;
  }
}

bool Http::leads_away(const std::string& url, const std::string& target) const {
  return !is_hub(target) && origin_of(target) != origin_of(url);
}

// The target of a redirect from `url`. Throws if it must not be followed.
std::string Http::redirect_target(const Request& request, const std::string& url, const Response& response) const {
  std::optional<std::string> target = join_url(url, std::string(response.header("location")));
  if (!target) refuse_redirect(request, "to a target that is not an http or https URL");
  if (url.starts_with("https:") && !target->starts_with("https:")) refuse_redirect(request, "from https to http");
  if (request.method == "GET" || request.method == "HEAD") return *target;
  if (response.status < 307)
    refuse_redirect(request, fmt::format("a {} with status {}", request.method, response.status));
  if (request.method != "PUT" && leads_away(url, *target))
    refuse_redirect(request, fmt::format("a {} to another host", request.method));
  return *target;
}

Response Http::exchange(const Request& request, const Transfers::OnBody& on_body) {
  if (settings_.offline)
    throw Error(Code::network, "", "this needs the Hub, and offline mode is on", Where::in(about_of(request)),
        "unset HF_HUB_OFFLINE, or download the files first");
  std::string url = request.url;
  std::set<std::string> seen{url};
  Headers metadata;
  for (int redirects = 0;; ++redirects) {
    Response response = send_to(url, request, [&](Response& head, Bytes bytes) {
      head.headers.insert(head.headers.begin(), metadata.begin(), metadata.end());
      metadata.clear();
      on_body(head, bytes);
    });
    response.headers.insert(response.headers.begin(), metadata.begin(), metadata.end());
    if (!is_redirect(response.status) || response.header("location").empty()) return response;

    std::string target = redirect_target(request, url, response);
    if (request.stays_at_hub && leads_away(url, target)) {
      response.location = std::move(target);
      return response;
    }
    if (redirects == kMaxRedirects) refuse_redirect(request, fmt::format("more than {} times", kMaxRedirects));
    if (!seen.insert(target).second) refuse_redirect(request, "in a circle");
    if (is_hub(url)) keep_metadata(response, metadata);
    url = std::move(target);
  }
}

Response Http::stream(const Request& request, const std::function<void(const Response&)>& on_head,
    const std::function<void(Bytes)>& on_body) {
  bool has_head = false;
  Response response = exchange(request, [&](Response& head, Bytes bytes) {
    if (!has_head) on_head(head);
    has_head = true;
    on_body(bytes);
  });
  if (response.status >= 400) throw failure_of(request, response);
  if (response.status < 200 || response.status >= 300)
    throw Error(Code::malformed, "", fmt::format("the Hub's response has the unexpected status {}", response.status),
        Where::in(about_of(request)));
  if (!has_head) on_head(response);
  return response;
}

Response Http::send(const Request& request) {
  for (Backoff backoff(settings_);;) {
    std::string body;
    try {
      Response response = exchange(request, [&](Response&, Bytes bytes) {
        if (bytes.size() > kMaxResponseBytes - body.size())
          throw Error(Code::limit, "",
              fmt::format("the Hub's response is too long (at most {})", human_bytes(kMaxResponseBytes)),
              Where::in(about_of(request)));
        body += text(bytes);
      });
      if (response.status >= 400) throw failure_of(request, response);
      if (response.status >= 200 && response.status < 300) response.body = std::move(body);
      return response;
    } catch (const ConnectionError& error) {
      if (!request.is_repeatable && !error.is_unsent())
        throw Error(static_cast<const Error&>(error))
            .with_hint("the Hub may have executed the request: check before you try again");
      if (!backoff.wait_after(error)) throw;
    } catch (const Failure& failure) {
      const bool may_repeat = request.is_repeatable || failure.status() == 429;
      if (!may_repeat || !backoff.wait_after(failure)) throw;
    }
  }
}

JsonValue Http::json(const Request& request, Response* response) {
  Response received = send(request);
  JsonValue value = parse_body(received.body, about_of(request));
  if (response) *response = std::move(received);
  return value;
}

JsonValue parse_body(std::string_view body, const std::string& about) {
  try {
    return JsonValue::parse(body);
  } catch (const Error& error) {
    bad_answer(about, error.message());
  }
}

void bad_answer(const std::string& about, std::string_view why) {
  throw Error(Code::malformed, "", fmt::format("the Hub's response is invalid: {}", why), Where::in(about),
      "check that the endpoint is the URL of a Hub");
}

}  // namespace depickle::hub
