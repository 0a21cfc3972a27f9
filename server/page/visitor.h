// Who asks, and whether a page of ours has sent it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/http/message.h"

namespace depickle::server::page {

/// Against requests that somebody else's page makes a browser send: by its name resolving to us (DNS rebinding), or across sites.
class Guard {
 public:
  /// `names`: hosts that we may be called by, with or without a port, besides those of listening().
  explicit Guard(std::vector<std::string> names) : names_(std::move(names)) {}
  /// Where we listen; before the first request. On all addresses (0.0.0.0, ::) any address is ours, for it is no name.
  void listening(const std::string& host, uint16_t port);

  /// Throws a StoreError: 421 for another host; for a POST 415 where it is not JSON, 403 where another site sent it.
  void operator()(const http::Request& request) const;

 private:
  bool is_ours(std::string_view host) const;

  std::vector<std::string> names_;
  uint16_t port_ = 0;
  bool any_address_ = false;
};

/// The visitor of a request as jobs know him: a hash, of the cookie or else of the address.
std::string visitor_of(const http::Request& request);
/// Gives a new visitor a cookie.
void set_cookie(const http::Request& request, http::Response& response);

}  // namespace depickle::server::page
