#include "server/http/buffered_body.h"

#include <fmt/format.h>

namespace depickle::server::http {

Response plain_error(int status, std::string_view text) {
  return respond(status, fmt::format(R"({{"error":"{}"}})", text));
}

BufferedBody::BufferedBody(
    Request& request, const Router::Match& match, std::atomic<uint64_t>& held_bytes, uint64_t max_held_bytes)
    : request_(request),
      match_(match),
      held_bytes_(held_bytes),
      max_held_bytes_(max_held_bytes) {
  if (request.body_bytes.value_or(0) > match.route.max_body_bytes) too_large();
}

void BufferedBody::take(Bytes block) {
  if (own_bytes_ + block.size() > match_.route.max_body_bytes) too_large();
  own_bytes_ += block.size();
  // A single body may exceed the total: it would never fit later either.
  if (uint64_t held = held_bytes_ += block.size(); held > max_held_bytes_ && held > own_bytes_)
    throw Abort(plain_error(503, "too many requests at once").with("Retry-After", "1"), "busy");
  request_.body.append(reinterpret_cast<const char*>(block.data()), block.size());
}

void BufferedBody::too_large() const {
  throw Abort(match_.router.error(
                  413, fmt::format("the body is too large (need at most {} bytes)", match_.route.max_body_bytes)),
      "too large");
}

}  // namespace depickle::server::http
