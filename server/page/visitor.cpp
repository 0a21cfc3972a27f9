#include "server/page/visitor.h"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/sha.h>

#include "server/page/job.h"

namespace depickle::server::page {
namespace {

constexpr std::string_view kCookie = "depickle";
constexpr size_t kVisitorIdLength = 20;

// The signature covers the purpose of the text, so that it is valid only in a cookie.
std::string signed_text(std::string_view id) { return "visitor " + std::string(id); }

std::string hash(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string hex;
  for (int i = 0; i < 16; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace

std::string_view Visitors::cookie_of(const http::Request& request) const {
  std::string_view rest = request.field("Cookie");
  while (!rest.empty()) {
    std::string_view pair = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != kCookie) continue;
    // ID.SIGNATURE
    std::string_view value = pair.substr(equals + 1), id = value.substr(0, kVisitorIdLength);
    const bool has_form = is_id(id) && value.size() > kVisitorIdLength && value[kVisitorIdLength] == '.';
    if (has_form && signer_.is_valid(signed_text(id), value.substr(kVisitorIdLength + 1))) return value;
  }
  return {};
}

std::string Visitors::id_of(const http::Request& request) const {
  std::string_view cookie = cookie_of(request);
  return hash(cookie.empty() ? "address " + request.peer : "cookie " + std::string(cookie));
}

void Visitors::set_cookie(const http::Request& request, http::Response& response) const {
  if (!cookie_of(request).empty()) return;
  const std::string id = new_id();
  response.with("Set-Cookie", fmt::format("{}={}.{}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict", kCookie, id,
                                  signer_.signature(signed_text(id))));
}

}  // namespace depickle::server::page
