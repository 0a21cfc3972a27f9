// Identifies the visitor and rejects cross-site requests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/http/message.h"

namespace depickle::server::page {

/// Rejects requests that a page of another site makes a browser send: DNS rebinding and cross-site requests.
class Guard {
 public:
  /// `names` are allowed hosts, with or without a port, besides those of set_address().
  explicit Guard(std::vector<std::string> names) : names_(std::move(names)) {}
  /// Sets the bound address. Call it before the first request. For 0.0.0.0 and :: every IP address is allowed, because
  /// it cannot be rebound.
  void set_address(const std::string& host, uint16_t port);

  /// Throws http::Abort: status 421 for another host; for a POST, 415 if its type is not JSON and 403 if it comes from
  /// another site.
  void operator()(const http::Request& request) const;

 private:
  bool is_allowed(std::string_view host) const;

  std::vector<std::string> names_;
  uint16_t port_ = 0;
  bool any_address_ = false;
};

/// Returns the id of the visitor: a hash of the cookie, or of the client address if there is no cookie.
std::string visitor_of(const http::Request& request);
/// Adds a cookie to the response if the request has none.
void set_cookie(const http::Request& request, http::Response& response);

}  // namespace depickle::server::page
