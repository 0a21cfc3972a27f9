#include "server/http/whole_body.h"

#include <fmt/format.h>

namespace depickle::server::http {

Response plain_error(int status, std::string_view text) {
  return respond(status, fmt::format(R"({{"error":"{}"}})", text));
}

WholeBody::WholeBody(Request& request, const Router::Match& match, std::atomic<uint64_t>& held, uint64_t most_held)
    : request_(request),
      match_(match),
      held_(held),
      most_held_(most_held) {
  if (request.body_bytes.value_or(0) > match.route.most_body_bytes) too_large();
}

void WholeBody::take(Bytes block) {
  if (mine_ + block.size() > match_.route.most_body_bytes) too_large();
  mine_ += block.size();
  // One body alone may be larger: to say "later" to it would be to say it for ever.
  if (uint64_t held = held_ += block.size(); held > most_held_ && held > mine_)
    throw Abort(plain_error(503, "too many requests at once").with("Retry-After", "1"), "busy");
  request_.body.append(reinterpret_cast<const char*>(block.data()), block.size());
}

void WholeBody::too_large() const {
  throw Abort(
      match_.router.error(413, fmt::format("the body is too large (at most {} bytes)", match_.route.most_body_bytes)),
      "too large");
}

}  // namespace depickle::server::http
