// The HTTP/1.x parser.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "server/http/message.h"

namespace depickle::server::http {

/// Parses one request: its head, then its body, with Content-Length or chunked.
class RequestParser {
 public:
  /// Throws Abort with status 431 for a head of more than `max_head_bytes`.
  explicit RequestParser(uint32_t max_head_bytes);
  ~RequestParser();

  /// Parses the front of `bytes` and returns the number of bytes used. The caller passes the rest again, with more
  /// bytes after it. Stops at the end of the head. Throws Abort with status 400 if the bytes are not HTTP/1.x.
  size_t put_head(std::string_view bytes);
  /// The same for the body. Passes its content to `take` in blocks.
  size_t put_body(std::string_view bytes, const std::function<void(Bytes)>& take);

  bool is_head_done() const;
  bool is_done() const;
  bool keeps_alive() const;
  /// Returns whether the client waits for `100 Continue` before it sends the body.
  bool expects_continue() const;
  /// Returns the number of body bytes that are not parsed yet, if Content-Length is known.
  std::optional<uint64_t> remaining_bytes() const;
  /// Returns the request without its body. Valid once is_head_done().
  Request& request();

 private:
  struct Beast;
  std::unique_ptr<Beast> beast_;
};

/// Returns the status line and fields of a response, with the empty line.
std::string response_head(const Response& response, std::optional<uint64_t> body_bytes, bool keep_alive);

}  // namespace depickle::server::http
