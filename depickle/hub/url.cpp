#include "depickle/hub/url.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include "depickle/base/text.h"
#include "depickle/hub/curl_library.h"

namespace depickle::hub {
namespace {

using Parsed = std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)>;

Parsed parse(const std::string& url) {
  Parsed parsed(curl().url(), curl().url_cleanup);
  if (curl().url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK) parsed.reset();
  return parsed;
}

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl().url_get(url, which, &text, flags) != CURLUE_OK) return {};
  std::string out(text);
  curl().free(text);
  return out;
}

bool is_web(CURLU* url) {
  const std::string scheme = lower_case(part(url, CURLUPART_SCHEME));
  return scheme == "http" || scheme == "https";
}

}  // namespace

std::optional<std::string> origin_of(const std::string& url) {
  const Parsed parsed = parse(url);
  if (!parsed || !is_web(parsed.get())) return {};
  return lower_case(part(parsed.get(), CURLUPART_SCHEME) + "://" + part(parsed.get(), CURLUPART_HOST)) + ":" +
         part(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

std::optional<std::string> join_url(const std::string& base, const std::string& location) {
  const Parsed parsed = parse(base);
  if (!parsed || location.empty()) return {};
  if (curl().url_set(parsed.get(), CURLUPART_URL, location.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK) return {};
  if (!is_web(parsed.get())) return {};
  curl().url_set(parsed.get(), CURLUPART_FRAGMENT, nullptr, 0);
  return part(parsed.get(), CURLUPART_URL);
}

std::string without_query(std::string_view url) { return std::string(url.substr(0, url.find_first_of("?#"))); }

std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* digits = text.data() + i + 1;
    const bool is_escape =
        text[i] == '%' && text.size() - i > 2 && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2;
    out += is_escape ? static_cast<char>(byte) : text[i];
    if (is_escape) i += 2;
  }
  return out;
}

}  // namespace depickle::hub
