// Requests to a Hub: authentication, redirects, retries, errors.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/json_value.h"
#include "depickle/hub/failure.h"
#include "depickle/hub/transfer.h"

namespace depickle::hub {

struct Request {
  std::string method = "GET";
  std::string url;
  std::string about;                 ///< place of errors, "hf://org/name"; empty: the URL without its query
  std::vector<std::string> headers;  ///< "Name: value"
  std::optional<std::string> body;
  std::optional<FileRange> file;  ///< sent as the body
  bool is_anonymous = false;      ///< never send the token
  /// If false, the request is sent again only if the Hub cannot have acted on it.
  bool is_repeatable = true;
  /// Redirects to another host are not followed: the response has their target in `location`.
  bool stays_at_hub = false;
  std::function<void(uint64_t)> on_sent = {};
};

/// Safe to use from several threads. The token is sent only to the endpoint's origin, and is in no error text and no
/// trace.
class Http {
 public:
  /// `settings` must outlive the object. Throws Error{malformed} if the endpoint is not an http or https URL.
  explicit Http(const Settings& settings);

  /// Returns the whole response, at most 64 MiB. Retries transient errors. Throws Failure if the status is 400 or more;
  /// Error{network}.
  Response send(const Request& request);
  /// Returns the body of send() as JSON.
  JsonValue json(const Request& request, Response* response = nullptr);

  /// Sends the request once. `on_head` receives the head of a 2xx response, then `on_body` each piece of its body.
  /// Throws Failure, ConnectionError.
  Response stream(const Request& request, const std::function<void(const Response&)>& on_head,
      const std::function<void(Bytes)>& on_body);

  /// Returns whether the URL has the origin of the endpoint.
  bool is_hub(const std::string& url) const;

 private:
  Response exchange(const Request& request, const Transfers::OnBody& on_body);
  Response send_to(const std::string& url, const Request& request, const Transfers::OnBody& on_body);
  bool leads_away(const std::string& url, const std::string& target) const;
  std::string redirect_target(const Request& request, const std::string& url, const Response& response) const;
  std::string redacted(std::string text) const;
  Failure failure_of(const Request& request, const Response& response) const;

  const Settings& settings_;
  std::string origin_;
  Transfers transfers_;
};

/// Returns the error of a response with a status of 400 or more. `has_token`: whether the request was sent with a
/// token.
Failure make_failure(const Response& response, std::string about, bool has_token);

/// Parses the body of a response. Throws Error{malformed} if it is not JSON.
JsonValue parse_body(std::string_view body, const std::string& about);

/// Throws Error{malformed}: the response of the Hub is not as its API specifies.
[[noreturn]] void bad_answer(const std::string& about, std::string_view why);

}  // namespace depickle::hub
