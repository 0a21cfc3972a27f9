#include "server/http/access_guard.h"

#include <arpa/inet.h>
#include <strings.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace depickle::server::http {
namespace {

using AddressBytes = std::array<unsigned char, 16>;

bool equals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

/// "[::1]:80" → "[::1]", ":80".
std::pair<std::string_view, std::string_view> split_port(std::string_view host) {
  size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos) return {host, {}};
  return {host.substr(0, colon), host.substr(colon)};
}

std::string_view without_brackets(std::string_view host) {
  return host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
}

/// Returns the address as IPv6, an IPv4 address as ::ffff:A.B.C.D, so that both spellings are equal.
std::optional<AddressBytes> parse_address(std::string_view text) {
  std::string address(text.substr(0, text.find('%')));
  AddressBytes bytes{};
  if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return bytes;
  if (::inet_pton(AF_INET, address.c_str(), bytes.data() + 12) != 1) return std::nullopt;
  bytes[10] = bytes[11] = 0xff;
  return bytes;
}

bool is_trusted(std::string_view address, const std::vector<std::string>& proxies) {
  auto bytes = parse_address(address);
  return bytes && std::ranges::any_of(proxies, [&](const std::string& proxy) { return parse_address(proxy) == bytes; });
}

/// Returns the addresses of all X-Forwarded-For fields. Each proxy appends to the last field, or adds a field.
std::vector<std::string_view> forwarded_addresses(const Request& request) {
  std::vector<std::string_view> addresses;
  for (const auto& [name, value] : request.fields) {
    if (!equals(name, "X-Forwarded-For")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      std::string_view item = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), item.size() + 1));
      while (item.starts_with(' ')) item.remove_prefix(1);
      while (item.ends_with(' ')) item.remove_suffix(1);
      addresses.push_back(item);
    }
  }
  return addresses;
}

bool is_safe(std::string_view method) { return method == "GET" || method == "HEAD" || method == "OPTIONS"; }

/// Returns whether a browser says that a page of another origin sent the request.
bool is_cross_site(const Request& request) {
  if (const std::string* origin = request.fields.find("Origin")) {
    size_t scheme_end = origin->find("://");
    if (scheme_end == std::string::npos) return true;  // "null": a sandboxed frame, a file, a redirect
    if (!equals(std::string_view(*origin).substr(scheme_end + 3), request.field("Host"))) return true;
  }
  const std::string* site = request.fields.find("Sec-Fetch-Site");
  if (!site || *site == "same-origin" || *site == "none") return false;
  return !is_safe(request.method) || request.field("Sec-Fetch-Mode") != "navigate";
}

}  // namespace

void AccessGuard::set_address(const std::string& host, uint16_t port) {
  port_ = port;
  any_address_ = host == "0.0.0.0" || host == "::";
  if (!any_address_)
    names_.push_back(fmt::format("{}:{}", host.find(':') == std::string::npos ? host : "[" + host + "]", port));
}

bool AccessGuard::is_allowed(std::string_view host) const {
  const auto [name, port] = split_port(host);
  if (any_address_ && is_ip_address(without_brackets(name))) return true;
  const bool is_bound_port = port.empty() ? port_ == 80 : port == fmt::format(":{}", port_);
  if (is_bound_port && std::ranges::any_of(std::array<std::string_view, 3>{"127.0.0.1", "localhost", "[::1]"},
                           [&](std::string_view local) { return equals(name, local); }))
    return true;
  return std::ranges::any_of(names_, [&](const std::string& known) {
    const auto [known_name, known_port] = split_port(known);
    return equals(name, known_name) && (known_port.empty() || known_port == port);
  });
}

std::optional<Rejection> AccessGuard::check(const Request& request) const {
  const std::string& host = request.field("Host");
  if (!is_allowed(host)) return Rejection{421, fmt::format("the host {} is not allowed", host)};
  if (is_cross_site(request)) return Rejection{403, "the request comes from a page of another site"};
  return std::nullopt;
}

std::string client_address(
    const Request& request, const std::string& peer, const std::vector<std::string>& trusted_proxies) {
  if (!is_trusted(peer, trusted_proxies)) return peer;
  std::string client = peer;
  const std::vector<std::string_view> addresses = forwarded_addresses(request);
  for (auto at = addresses.rbegin(); at != addresses.rend(); ++at) {
    if (!is_ip_address(*at)) return client;
    client = *at;
    if (!is_trusted(client, trusted_proxies)) return client;
  }
  return client;
}

bool is_ip_address(std::string_view text) { return parse_address(text).has_value(); }

bool is_loopback_host(std::string_view host) {
  if (equals(host, "localhost")) return true;
  auto bytes = parse_address(without_brackets(host));
  if (!bytes) return false;
  static const AddressBytes kLoopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const bool is_ipv4 = std::all_of(bytes->begin(), bytes->begin() + 10, [](unsigned char byte) { return byte == 0; }) &&
                       (*bytes)[10] == 0xff && (*bytes)[11] == 0xff;
  return *bytes == kLoopback || (is_ipv4 && (*bytes)[12] == 127);
}

}  // namespace depickle::server::http
