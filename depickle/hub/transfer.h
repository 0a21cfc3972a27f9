// One HTTP request and its response, without redirects and retries.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/base/error.h"
#include "depickle/hub/settings.h"

namespace depickle::hub {

/// A range of an open file that is sent as a body. Does not own the descriptor.
struct FileRange {
  int descriptor = -1;
  uint64_t offset = 0;
  uint64_t length = 0;
};

struct Response {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string url;                                           ///< of the response, after redirects
  std::string location;                                      ///< target of a redirect that was not followed
  std::string body;  ///< empty if a callback received it; of an error, the first 64 KiB

  /// Returns the last header of this name, in lower case; "" if it does not exist.
  std::string_view header(std::string_view name) const noexcept;
};

/// The connection could not be made, or was lost.
class ConnectionError : public Error {
 public:
  ConnectionError(const Error& error, bool is_unsent) : Error(error), is_unsent_(is_unsent) {}
  /// Whether the server cannot have received the request.
  bool is_unsent() const noexcept { return is_unsent_; }

 private:
  bool is_unsent_;
};

struct HttpRequest {
  std::string method;
  std::string url;
  std::vector<std::string> headers;   ///< "Name: value"
  const std::string* body = nullptr;  ///< may be null
  std::optional<FileRange> file;      ///< sent as the body
  /// If false, no connection is reused: libcurl sends a request again if a reused connection turns out to be closed.
  bool is_repeatable = true;
  std::function<void(uint64_t)> on_sent = {};  ///< receives the number of body bytes sent so far, often
};

/// A pool of connections. Safe to use from several threads.
class Transfers {
 public:
  /// Receives the head of a 2xx response and each piece of its body.
  using OnBody = std::function<void(Response&, Bytes)>;

  explicit Transfers(const Settings& settings);
  ~Transfers();

  /// Throws ConnectionError; what `on_body` and `check_cancelled` throw.
  Response run(const HttpRequest& request, const OnBody& on_body);

 private:
  struct Connection;
  std::unique_ptr<Connection> take(const std::string& origin);
  void give_back(std::unique_ptr<Connection> connection);

  const Settings& settings_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace depickle::hub
