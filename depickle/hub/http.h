// Requests to a Hub: who asks, where redirects lead, when to try again, what an answer means.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/failure.h"
#include "depickle/hub/json_value.h"
#include "depickle/hub/transfer.h"

namespace depickle::hub {

struct Request {
  std::string method = "GET";
  std::string url;
  std::string about;                 ///< what errors call it: "hf://org/name"; empty: the address without its query
  std::vector<std::string> headers;  ///< "Name: value"
  std::optional<std::string> body;
  std::optional<FilePiece> file;  ///< sent as the body
  bool is_anonymous = false;      ///< without our token, wherever it goes
  /// Must not happen twice: it is sent again only where the Hub cannot have acted on it.
  bool is_once = false;
  /// Redirects are followed while they stay at the Hub; the first that leads elsewhere is the answer, with its `location`.
  bool stays_at_hub = false;
  std::function<void(uint64_t)> on_sent = {};
};

/// Safe to use from several threads. The token goes to the endpoint's origin only, and into no error text and no trace.
class Http {
 public:
  explicit Http(const Settings& settings);

  /// Returns the whole response, at most 64 MiB. Retries transient errors. Throws Failure if the status is 400 or more; Error{network}.
  Response send(const Request& request);
  /// send(), and the body as JSON.
  JsonValue json(const Request& request, Response* answer = nullptr);

  /// One try. `on_head` sees the head of a 2xx answer, `on_body` then each piece of its body. Throws Failure, ConnectionError.
  Response stream(const Request& request, const std::function<void(const Response&)>& on_head,
      const std::function<void(Bytes)>& on_body);

  /// Whether the address has the origin of the endpoint.
  bool is_hub(const std::string& url) const;

 private:
  Response exchange(const Request& request, const Transfers::OnBody& on_body);
  Response hop(const Request& request, const std::string& url, const Transfers::OnBody& on_body);
  std::string redacted(std::string text) const;
  Failure failure_of(const Request& request, const Response& answer) const;

  const Settings& settings_;
  std::string origin_;
  Transfers transfers_;
};

/// The error that an answer of 400 or more is. `has_token`: whether the user could still log in.
Failure make_failure(const Response& answer, std::string about, bool has_token);

}  // namespace depickle::hub
