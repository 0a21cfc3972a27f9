#include "depickle/hub/http.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/backoff.h"
#include "depickle/hub/url.h"

namespace depickle::hub {
namespace {

constexpr size_t kMaxAnswerBytes = 64 << 20;
constexpr int kMaxRedirects = 20;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// What the Hub says of a file stands in the head of its own answer, even where that only leads to a store.
void keep_metadata(const Response& from, std::vector<std::pair<std::string, std::string>>& kept) {
  for (const auto& header : from.headers) {
    if (header.first == "x-repo-commit" || header.first == "x-linked-etag" || header.first == "x-linked-size")
      kept.push_back(header);
  }
}

void check_headers(const std::vector<std::string>& headers) {
  for (const std::string& header : headers) {
    if (header.find_first_of(std::string_view("\r\n\0", 3)) != header.npos)
      throw Error(Code::malformed, "", "a header that the Hub asks for holds control characters");
  }
}

std::string about_of(const Request& request) {
  return request.about.empty() ? without_query(request.url) : request.about;
}

}  // namespace

Http::Http(const Settings& settings)
    : settings_(settings),
      origin_(origin_of(settings.endpoint).value_or("")),
      transfers_(settings) {
  if (origin_.empty())
    throw Error(Code::malformed, "", fmt::format("{} is no address of a Hub", quoted(settings.endpoint)), {},
        "an endpoint begins with https:// or http://");
  if (settings.token.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    throw Error(Code::malformed, "", "the token holds control characters");
}

bool Http::is_hub(const std::string& url) const { return origin_of(url) == origin_; }

std::string Http::redacted(std::string text) const {
  if (settings_.token.empty()) return text;
  for (size_t at; (at = text.find(settings_.token)) != text.npos;) text.replace(at, settings_.token.size(), "***");
  return text;
}

Failure Http::failure_of(const Request& request, const Response& answer) const {
  Response safe = answer;
  safe.body = redacted(std::move(safe.body));
  for (auto& header : safe.headers) header.second = redacted(std::move(header.second));
  return make_failure(safe, about_of(request), !settings_.token.empty());
}

Response Http::hop(const Request& request, const std::string& url, const Transfers::OnBody& on_body) {
  Hop hop{.method = request.method, .url = url, .headers = request.headers, .file = request.file};
  if (request.body) hop.body = &*request.body;
  hop.is_once = request.is_once;
  hop.on_sent = request.on_sent;
  if (request.method == "HEAD") hop.headers.push_back("Accept-Encoding: identity");
  if (!settings_.token.empty() && !request.is_anonymous && is_hub(url))
    hop.headers.push_back("Authorization: Bearer " + settings_.token);
  check_headers(hop.headers);

  const bool is_signed = url.find("/api/") == url.npos || !is_hub(url);
  auto trace = [&](std::string_view outcome) {
    if (settings_.trace)
      settings_.trace(redacted(
          fmt::format("{} {} -> {}", request.method, printable(is_signed ? without_query(url) : url, 2000), outcome)));
  };
  try {
    Response answer = transfers_.run(hop, on_body);
    trace(fmt::format("{}", answer.status));
    return answer;
  } catch (const ConnectionError& lost) {
    trace(lost.message());
    throw;
  }
}

Response Http::exchange(const Request& request, const Transfers::OnBody& on_body) {
  if (settings_.offline)
    throw Error(Code::network, "", "this needs the Hub, and offline mode is on", Where::in(about_of(request)),
        "unset HF_HUB_OFFLINE, or download what is needed before");
  std::string url = request.url;
  std::set<std::string> seen{url};
  std::vector<std::pair<std::string, std::string>> metadata;
  auto refuse = [&](const std::string& why) {
    throw Error(Code::malformed, "", fmt::format("the Hub redirects {}", why), Where::in(about_of(request)));
  };
  for (int redirects = 0;; ++redirects) {
    Response answer = hop(request, url, [&](Response& head, Bytes bytes) {
      head.headers.insert(head.headers.begin(), metadata.begin(), metadata.end());
      metadata.clear();
      on_body(head, bytes);
    });
    answer.headers.insert(answer.headers.begin(), metadata.begin(), metadata.end());
    const std::string location(answer.header("location"));
    if (!is_redirect(answer.status) || location.empty()) return answer;

    std::optional<std::string> next = join_url(url, location);
    if (!next) refuse("to what is no http or https address");
    if (url.starts_with("https:") && !next->starts_with("https:")) refuse("from https to http");
    const bool leaves = !is_hub(*next) && origin_of(*next) != origin_of(url);
    if (request.stays_at_hub && leaves) {
      answer.location = *next;
      return answer;
    }
    if (request.method != "GET" && request.method != "HEAD") {
      if (answer.status < 307) refuse(fmt::format("a {} with status {}", request.method, answer.status));
      if (leaves && request.method != "PUT") refuse("what we send to another host");
    }
    if (redirects == kMaxRedirects) refuse(fmt::format("more than {} times", kMaxRedirects));
    if (!seen.insert(*next).second) refuse("in a circle");
    if (is_hub(url)) keep_metadata(answer, metadata);
    url = *next;
  }
}

Response Http::stream(const Request& request, const std::function<void(const Response&)>& on_head,
    const std::function<void(Bytes)>& on_body) {
  bool has_head = false;
  Response answer = exchange(request, [&](Response& head, Bytes bytes) {
    if (!has_head) on_head(head);
    has_head = true;
    on_body(bytes);
  });
  if (answer.status >= 400) throw failure_of(request, answer);
  if (answer.status < 200 || answer.status >= 300)
    throw Error(Code::malformed, "", fmt::format("the Hub answers with status {}", answer.status),
        Where::in(about_of(request)));
  if (!has_head) on_head(answer);
  return answer;
}

Response Http::send(const Request& request) {
  for (Backoff backoff(settings_);;) {
    std::string body;
    try {
      Response answer = exchange(request, [&](Response&, Bytes bytes) {
        if (bytes.size() > kMaxAnswerBytes - body.size())
          throw Error(Code::limit, "", fmt::format("the Hub's answer is longer than {}", human_bytes(kMaxAnswerBytes)),
              Where::in(about_of(request)));
        body += text(bytes);
      });
      if (answer.status >= 400) throw failure_of(request, answer);
      if (answer.status >= 200 && answer.status < 300) answer.body = std::move(body);
      return answer;
    } catch (const ConnectionError& lost) {
      if (request.is_once && !lost.is_unsent())
        throw Error(lost).with_hint("the request may have been carried out all the same: look before you try again");
      if (!backoff.again(lost)) throw;
    } catch (const Failure& failure) {
      const bool may_repeat = !request.is_once || failure.status() == 429;
      if (!may_repeat || !backoff.again(failure)) throw;
    }
  }
}

JsonValue Http::json(const Request& request, Response* answer) {
  Response got = send(request);
  JsonValue value = JsonValue::parse(got.body, about_of(request));
  if (answer) *answer = std::move(got);
  return value;
}

}  // namespace depickle::hub
