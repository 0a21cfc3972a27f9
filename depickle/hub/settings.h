// Which Hub, as whom, and how patiently.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace depickle::hub {

inline constexpr std::string_view kPublicEndpoint = "https://huggingface.co";

/// How often and how long transient errors are retried: a lost connection, a timeout, 408, 429, 500, 502, 503 and 504.
struct RetryPolicy {
  unsigned retries = 5;  ///< in a row, without progress
  std::chrono::milliseconds first_wait{
      1000};  ///< doubled each time, up to `longest_wait`; a server's own wish goes first
  std::chrono::milliseconds longest_wait{8000};
  std::chrono::milliseconds budget{
      300'000};  ///< of all the waits of one request; a longer wish of a server is an error at once
};

/// Everything that the module needs to know about its surroundings: it reads no environment itself.
struct Settings {
  std::string endpoint{kPublicEndpoint};  ///< without a trailing slash; may have a path
  std::string token;            ///< sent to the endpoint's origin only (scheme, host and port); empty: anonymous
  std::filesystem::path cache;  ///< the folder that huggingface_hub calls HF_HUB_CACHE
  bool offline = false;         ///< every request is refused; what the cache holds can be had
  std::string user_agent = "depickle";
  std::filesystem::path
      certificates;          ///< of the authorities that are trusted (PEM); empty: where libcurl was built to look
  unsigned connections = 8;  ///< at once, of one download or upload

  std::chrono::milliseconds connect_timeout{10'000};
  /// Until the first byte of an answer; ten times as long for what writes.
  std::chrono::milliseconds answer_timeout{60'000};
  /// A body that moves less than 1 KiB in so long is a lost connection.
  std::chrono::milliseconds stall_timeout{30'000};
  RetryPolicy patience;

  /// Called several times a second while the network is waited for, from the waiting thread. To stop, it throws
  /// Error{cancelled}. Empty: nobody asks.
  std::function<void()> check_cancelled;
  /// One line for each request and answer, without tokens and without the queries of signed addresses. From several threads.
  std::function<void(std::string_view)> trace;
};

}  // namespace depickle::hub
