// Configuration of the client.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace depickle::hub {

inline constexpr std::string_view kPublicEndpoint = "https://huggingface.co";

/// Retries of transient errors: a lost connection, a timeout, 408, 429, 500, 502, 503 and 504.
struct RetryPolicy {
  unsigned max_retries = 5;  ///< in a row, without progress
  /// Doubled after each retry, up to `max_wait`. A wait that the server asks for takes precedence.
  std::chrono::milliseconds first_wait{1000};
  std::chrono::milliseconds max_wait{8000};
  /// Sum of all waits of one request. A server that asks for more is an error at once.
  std::chrono::milliseconds max_total_wait{300'000};
};

/// The whole configuration: the module reads no environment variables, except those for proxies, which libcurl reads.
struct Settings {
  std::string endpoint{kPublicEndpoint};  ///< without a trailing slash; may have a path
  std::string token;                      ///< sent only to the endpoint's origin (scheme, host, port); empty: anonymous
  std::filesystem::path cache;            ///< the folder that huggingface_hub calls HF_HUB_CACHE
  bool offline = false;                   ///< refuse every request, and use only the cache
  std::string user_agent = "depickle";
  std::filesystem::path certificates;  ///< PEM file of trusted authorities; empty: libcurl's default
  unsigned connections = 8;            ///< concurrent connections of one download or upload

  std::chrono::milliseconds connect_timeout{10'000};
  /// Until the first byte of a response; ten times as long for requests other than GET and HEAD.
  std::chrono::milliseconds response_timeout{60'000};
  /// A connection that transfers less than 1 KiB in this time counts as lost.
  std::chrono::milliseconds stall_timeout{30'000};
  RetryPolicy retry_policy;

  /// Called several times per second by the thread that waits for the network. Throws Error{cancelled} to stop. May be
  /// empty.
  std::function<void()> check_cancelled;
  /// Receives one line for each request, without tokens and without the queries of signed URLs. Called by several
  /// threads.
  std::function<void(std::string_view)> trace;
};

}  // namespace depickle::hub
