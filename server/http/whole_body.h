// Requests whose body a handler wants as one piece. Inside the server only.
#pragma once

#include <atomic>

#include "server/http/router.h"

namespace depickle::server::http {

/// {"error": text}
Response plain_error(int status, std::string_view text);

/// Collects a body for a plain handler, as long as it and all others together are small enough.
class WholeBody final : public Receiver {
 public:
  /// `held`: bytes of all bodies in memory now, of which at most `most_held` may be.
  WholeBody(Request& request, const Router::Match& match, std::atomic<uint64_t>& held, uint64_t most_held);
  ~WholeBody() override { held_ -= mine_; }

  void take(Bytes block) override;
  Response finish() override { return match_.route.handler(request_); }

 private:
  [[noreturn]] void too_large() const;

  Request& request_;
  Router::Match match_;
  std::atomic<uint64_t>& held_;
  uint64_t most_held_;
  uint64_t mine_ = 0;
};

}  // namespace depickle::server::http
