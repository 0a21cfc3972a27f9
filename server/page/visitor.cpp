#include "server/page/visitor.h"

#include <arpa/inet.h>
#include <openssl/sha.h>
#include <strings.h>

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/page/errors.h"
#include "server/page/job.h"

namespace depickle::server::page {
namespace {

constexpr std::string_view kCookie = "depickle";

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

/// "[::1]:80" → "[::1]", ":80".
std::pair<std::string_view, std::string_view> split_port(std::string_view host) {
  size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos) return {host, {}};
  return {host.substr(0, colon), host.substr(colon)};
}

bool is_address(std::string_view host) {
  char bytes[16];
  std::string text(host);
  if (text.starts_with('[') && text.ends_with(']'))
    return ::inet_pton(AF_INET6, text.substr(1, text.size() - 2).c_str(), bytes) == 1;
  return ::inet_pton(AF_INET, text.c_str(), bytes) == 1;
}

/// Returns the value of the cookie if it has the form of set_cookie().
std::string_view cookie_of(const http::Request& request) {
  std::string_view rest = request.field("Cookie");
  while (!rest.empty()) {
    std::string_view pair = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != kCookie) continue;
    std::string_view value = pair.substr(equals + 1);
    bool is_valid = value.size() == 40 && is_id(value.substr(0, 20)) && is_id(value.substr(20));
    if (is_valid) return value;
  }
  return {};
}

std::string hash(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string hex;
  for (int i = 0; i < 16; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace

void Guard::set_address(const std::string& host, uint16_t port) {
  port_ = port;
  any_address_ = host == "0.0.0.0" || host == "::";
  if (!any_address_)
    names_.push_back(fmt::format("{}:{}", host.find(':') == std::string::npos ? host : "[" + host + "]", port));
}

bool Guard::is_allowed(std::string_view host) const {
  const auto [name, port] = split_port(host);
  if (any_address_ && is_address(name)) return true;
  const std::string bound_port = fmt::format(":{}", port_);
  const bool is_bound_port = port == bound_port || (port.empty() && port_ == 80);
  for (std::string_view local : {"127.0.0.1", "localhost", "[::1]"})
    if (same(name, local) && is_bound_port) return true;
  for (const std::string& known : names_) {
    const auto [known_name, known_port] = split_port(known);
    // A proxy in front may use another port.
    if (same(name, known_name) && (known_port.empty() || known_port == port)) return true;
  }
  return false;
}

void Guard::operator()(const http::Request& request) const {
  const std::string& host = request.field("Host");
  if (!is_allowed(host))
    refuse(421, Problem::of(Error(Code::denied, Reason::host_not_allowed,
                    fmt::format("the host {} is not allowed", quoted(host, 80)))));
  if (request.method != "POST") return;
  std::string_view type = request.field("Content-Type");
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  if (!same(type, "application/json"))
    refuse(415, Code::malformed, "the body is not application/json", "send Content-Type: application/json");
  if (const std::string* origin = request.fields.find("Origin")) {
    size_t slashes = origin->find("://");
    if (slashes == std::string::npos || !same(std::string_view(*origin).substr(slashes + 3), host))
      refuse(403, Code::denied, "the request comes from a page of another site", "use the page of this server");
  }
  if (const std::string* site = request.fields.find("Sec-Fetch-Site");
      site && *site != "same-origin" && *site != "none")
    refuse(403, Code::denied, "the request comes from a page of another site", "use the page of this server");
}

std::string visitor_of(const http::Request& request) {
  std::string_view cookie = cookie_of(request);
  return hash(cookie.empty() ? "address " + request.peer : "cookie " + std::string(cookie));
}

void set_cookie(const http::Request& request, http::Response& response) {
  if (!cookie_of(request).empty()) return;
  response.with("Set-Cookie",
      fmt::format("{}={}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict", kCookie, new_id() + new_id()));
}

}  // namespace depickle::server::page
