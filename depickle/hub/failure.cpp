#include "depickle/hub/failure.h"

#include <charconv>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/backoff.h"
#include "depickle/hub/http.h"

namespace depickle::hub {
namespace {

constexpr size_t kMaxWords = 300;

std::optional<std::chrono::seconds> whole_seconds(std::string_view text) {
  unsigned value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end == text.data() || (end != text.data() + text.size() && *end != ';')) return {};
  return std::chrono::seconds(value);
}

// `ratelimit: "api";r=0;t=55`, else `Retry-After: 55`; one second more, since clocks differ.
std::optional<std::chrono::seconds> wish_of(const Response& answer) {
  if (!is_transient(answer.status)) return {};
  std::optional<std::chrono::seconds> wish;
  const std::string_view limit = answer.header("ratelimit");
  if (answer.status == 429 && limit.find(";r=0") != limit.npos) {
    if (size_t at = limit.find(";t="); at != limit.npos) wish = whole_seconds(limit.substr(at + 3));
  }
  if (!wish) wish = whole_seconds(answer.header("retry-after"));
  if (wish) ++*wish;
  return wish;
}

// What the Hub says in words: header, `error`, `error_description`, `errors[].message`, or text that is no page.
std::string words_of(const Response& answer) {
  std::string words(answer.header("x-error-message"));
  auto add = [&](std::string_view more) {
    if (more.empty() || words.find(more) != words.npos) return;
    if (!words.empty()) words += "; ";
    words += more;
  };
  try {
    const JsonValue body = JsonValue::parse(answer.body, "");
    add(body["error"].text());
    for (const JsonValue& one : body["error"].items()) add(one.text());
    add(body["error_description"].text());
    add(body["message"].text());
    for (const JsonValue& one : body["errors"].items()) add(one["message"].text());
  } catch (const Error&) {
    const bool is_page = answer.header("content-type").find("html") != std::string_view::npos ||
                         answer.body.find("<html") != std::string::npos;
    if (!is_page) add(answer.body);
  }
  return printable(words, kMaxWords);
}

struct Meaning {
  Code code;
  std::string what;
  std::string hint;
};

Meaning meaning_of(const Response& answer, std::string_view error_code, std::string_view words, bool has_token) {
  const std::string log_in = has_token ? "the token may lack the right: see the Hub's page of your tokens"
                                       : "log in with `hf auth login`, or set HF_TOKEN";
  if (error_code == "RevisionNotFound")
    return {
        Code::not_found, "the repository has no such revision", "see its branches, tags and pull requests on its page"};
  if (error_code == "EntryNotFound") return {Code::not_found, "the repository has no such file at this revision", {}};
  if (error_code == "GatedRepo")
    return {Code::denied, "the repository is gated: its owner decides who may read it",
        has_token ? "ask for access on the page of the repository" : "ask for access on its page, then " + log_in};
  if (words == "Access to this resource is disabled.")
    return {Code::denied, "the Hub has disabled this repository", {}};
  if (error_code == "RepoNotFound")
    return {Code::not_found, "there is no such repository, or it is private and you may not see it",
        has_token ? "check the spelling, and that the token may read it"
                  : "check the spelling; for a private one, " + log_in};
  switch (answer.status) {
    case 401:
      return {Code::denied, has_token ? "the Hub does not accept the token" : "the Hub asks for a token",
          has_token ? "get a new one: `hf auth login`" : log_in};
    case 403: return {Code::denied, "the Hub does not allow this", log_in};
    case 404: return {Code::not_found, "the Hub has no such thing", {}};
    case 409: return {Code::network, "it already exists, or changed meanwhile", "look again, then decide again"};
    case 412: return {Code::network, "the branch has moved meanwhile", "look again, then decide again"};
    case 413: return {Code::limit, "the Hub finds this too large", {}};
    case 416: return {Code::integrity, "the file is shorter than the Hub said before", "try again"};
    case 429: return {Code::network, "the Hub has had too many requests from you", "try again later"};
    default: break;
  }
  if (answer.status == 408 || answer.status >= 500)
    return {Code::network, "the Hub cannot answer now", "try again later"};
  return {Code::malformed, "the Hub refuses the request", {}};
}

}  // namespace

Failure make_failure(const Response& answer, std::string about, bool has_token) {
  const std::string error_code(answer.header("x-error-code"));
  const std::string words = words_of(answer);
  Meaning meaning = meaning_of(answer, error_code, words, has_token);
  if (words.empty())
    meaning.what += fmt::format(" (status {})", answer.status);
  else
    meaning.what += fmt::format(" (status {}: {})", answer.status, words);
  const Failure failure(Error(meaning.code, "", meaning.what, Where::in(std::move(about)), meaning.hint), answer.status,
      printable(error_code, 64), wish_of(answer));
  return failure.at_commit(std::string(answer.header("x-repo-commit")));
}

}  // namespace depickle::hub
