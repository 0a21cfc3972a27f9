// One HTTP request and its answer: no redirects, no second tries.
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

/// A piece of an open file, to be sent.
struct FilePiece {
  int fd = -1;
  uint64_t offset = 0;
  uint64_t length = 0;
};

struct Response {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string url;                                           ///< that gave the answer, after redirects
  std::string location;                                      ///< where a redirect that was not followed leads
  std::string body;  ///< where nobody else took it; of an error, its first 64 KiB

  /// The last one of this name; empty where there is none.
  std::string_view header(std::string_view name) const noexcept;
};

/// The connection was lost, or never made.
class ConnectionError : public Error {
 public:
  ConnectionError(const Error& error, bool is_unsent) : Error(error), is_unsent_(is_unsent) {}
  /// Whether the Hub cannot have seen the request.
  bool is_unsent() const noexcept { return is_unsent_; }

 private:
  bool is_unsent_;
};

struct Hop {
  std::string method;
  std::string url;
  std::vector<std::string> headers;   ///< "Name: value"
  const std::string* body = nullptr;  ///< sent where set
  std::optional<FilePiece> file;      ///< sent where set
  bool is_once = false;               ///< no connection that may be dead already: libcurl would send the request again
  std::function<void(uint64_t)> on_sent = {};  ///< bytes of the body sent so far, often
};

/// Connections, kept and reused. Safe to use from several threads.
class Transfers {
 public:
  /// Called with the answer's head and each piece of a body whose status is 2xx.
  using OnBody = std::function<void(Response&, Bytes)>;

  explicit Transfers(const Settings& settings);
  ~Transfers();

  /// Throws ConnectionError; what `on_body` and `check_cancelled` throw.
  Response run(const Hop& hop, const OnBody& on_body);

 private:
  struct Connection;
  std::unique_ptr<Connection> take(const std::string& origin);
  void give_back(std::unique_ptr<Connection> line);

  const Settings& settings_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace depickle::hub
