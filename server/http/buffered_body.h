// Request bodies that a handler needs as one string. Inside the server only.
#pragma once

#include <atomic>

#include "server/http/router.h"

namespace depickle::server::http {

/// Returns the response {"error": text}.
Response plain_error(int status, std::string_view text);

/// Collects a body for a plain handler. Throws Abort with status 413 if the body exceeds the limit of the route, 503 if
/// all bodies in memory exceed theirs.
class BufferedBody final : public Receiver {
 public:
  /// `held_bytes` is the size of all bodies in memory, at most `max_held_bytes`.
  BufferedBody(
      Request& request, const Router::Match& match, std::atomic<uint64_t>& held_bytes, uint64_t max_held_bytes);
  ~BufferedBody() override { held_bytes_ -= own_bytes_; }

  void take(Bytes block) override;
  Response finish() override { return match_.route.handler(request_); }

 private:
  [[noreturn]] void too_large() const;

  Request& request_;
  Router::Match match_;
  std::atomic<uint64_t>& held_bytes_;
  uint64_t max_held_bytes_;
  uint64_t own_bytes_ = 0;
};

}  // namespace depickle::server::http
