// Bytes from a socket → requests.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "server/http/message.h"

namespace depickle::server::http {

/// Parses one request: its head, then its body, by length or in chunks.
class RequestParser {
 public:
  /// A head of more than `most_head_bytes` is refused with 431.
  explicit RequestParser(uint32_t most_head_bytes);
  ~RequestParser();

  /// Takes what it can use from the front of `bytes` and returns how much; the rest is to be offered again, with more behind it. Stops
  /// where the head ends. Throws a Abort where the bytes are not HTTP/1.x.
  size_t put_head(std::string_view bytes);
  /// The same for the body, whose content goes to `take` in blocks.
  size_t put_body(std::string_view bytes, const std::function<void(Bytes)>& take);

  bool head_done() const;
  bool done() const;
  bool keeps_alive() const;
  /// The client waits for `100 Continue` before it sends the body.
  bool expects_continue() const;
  /// Body bytes still to come, where the length is known.
  std::optional<uint64_t> remaining_bytes() const;
  /// With everything but the body; valid once head_done().
  Request& request();

 private:
  struct Beast;
  std::unique_ptr<Beast> beast_;
};

/// Status line and fields of a response, with the empty line.
std::string response_head(const Response& response, std::optional<uint64_t> body_bytes, bool keep_alive);

}  // namespace depickle::server::http
