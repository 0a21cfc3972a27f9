// Rejects requests that a page of another site makes a browser send: DNS rebinding and cross-site requests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/router.h"

namespace depickle::server::http {

/// The guard of the root router, so it checks every request before any route is chosen. Programs (huggingface_hub, git,
/// hf-xet, curl) send neither Origin nor Sec-Fetch-Site; only the host name applies to them.
class AccessGuard {
 public:
  /// `names` are allowed hosts, with or without a port, besides those of set_address(). Without a port, every port is
  /// allowed, because a proxy may use another one.
  explicit AccessGuard(std::vector<std::string> names) : names_(std::move(names)) {}
  /// Allows the bound address, and the loopback names at the bound port. For 0.0.0.0 and ::, every IP address is
  /// allowed: an address cannot be rebound. Call it before the first request.
  void set_address(const std::string& host, uint16_t port);

  /// Returns status 421 if the Host header names another host. Returns 403 if the request comes from a page of another
  /// origin (Origin, Sec-Fetch-Site), except for following a link, which changes nothing.
  std::optional<Rejection> check(const Request& request) const;

 private:
  bool is_allowed(std::string_view host) const;

  std::vector<std::string> names_;
  uint16_t port_ = 0;
  bool any_address_ = false;
};

/// Returns the address of the client: `peer`, or if that is a trusted proxy, the last address in X-Forwarded-For that
/// is not. The addresses before it may be forged.
std::string client_address(
    const Request& request, const std::string& peer, const std::vector<std::string>& trusted_proxies);

/// Returns whether the text is an IPv4 or IPv6 address without brackets.
bool is_ip_address(std::string_view text);
/// Returns whether the text is an address of the loopback interface, or "localhost".
bool is_loopback_host(std::string_view host);

}  // namespace depickle::server::http
