#include "cli/environment.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::streamsize kMaxTokenBytes = 4096;

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return {};
  return value;
}

// Returns the variable under its current or its older name.
std::optional<std::string> variable(const char* name, const char* older_name) {
  std::optional<std::string> value = variable(name);
  return value ? value : variable(older_name);
}

fs::path home() { return variable("HOME").value_or("/"); }

// Expands "~" and "$NAME" as huggingface_hub does.
fs::path expanded(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') {
      out += text[i];
      continue;
    }
    const bool has_braces = i + 1 < text.size() && text[i + 1] == '{';
    const size_t begin = i + 1 + has_braces;
    size_t end = begin;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_')) ++end;
    const std::optional<std::string> value = variable(text.substr(begin, end - begin).c_str());
    const bool is_closed = !has_braces || (end < text.size() && text[end] == '}');
    if (!value || !is_closed) {
      out += text[i];
      continue;
    }
    out += *value;
    i = end - 1 + has_braces;
  }
  if (out == "~" || out.starts_with("~/")) return home().string() + out.substr(1);
  return out;
}

fs::path hub_home() {
  if (const auto path = variable("HF_HOME")) return expanded(*path);
  const auto caches = variable("XDG_CACHE_HOME");
  return (caches ? expanded(*caches) : home() / ".cache") /
         (is_set_to_true("HUGGINGFACE_CO_STAGING") ? "huggingface_staging" : "huggingface");
}

std::string clean(std::string token) {
  std::erase_if(token, [](char c) { return c == '\r' || c == '\n'; });
  const size_t begin = token.find_first_not_of(' ');
  if (begin == token.npos) return {};
  return token.substr(begin, token.find_last_not_of(' ') - begin + 1);
}

// Reads the token that `hf auth login` saved.
std::string saved_token() {
  const auto named = variable("HF_TOKEN_PATH");
  const fs::path path = named ? expanded(*named) : hub_home() / "token";
  std::error_code missing;
  if (!fs::exists(path, missing)) return {};
  std::ifstream file(path, std::ios::binary);
  std::string token(kMaxTokenBytes, '\0');
  if (!file.read(token.data(), kMaxTokenBytes) && file.bad())
    throw Error(Code::io, "", "cannot read the saved token", Where::in(path), "log in again with `hf auth login`");
  if (!file.is_open())
    throw Error(Code::io, "", "cannot open the saved token", Where::in(path), "log in again with `hf auth login`");
  token.resize(static_cast<size_t>(file.gcount()));
  return clean(token);
}

std::string token() {
  if (is_set_to_true("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return {};
  std::string found = clean(variable("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN").value_or(""));
  return found.empty() ? saved_token() : found;
}

std::optional<std::chrono::seconds> seconds(const char* name) {
  const std::string text = variable(name).value_or("");
  unsigned value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failed != std::errc() || end != text.data() + text.size() || value == 0) return {};
  return std::chrono::seconds(value);
}

// Returns SSL_CERT_FILE, as Python reads it, or the first existing bundle of the usual systems: the program of a wheel
// was built on Debian but runs elsewhere.
std::filesystem::path certificates() {
  if (const auto named = variable("SSL_CERT_FILE")) return expanded(*named);
  for (const char* usual : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
           "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    std::error_code ignored;
    if (std::filesystem::exists(usual, ignored)) return usual;
  }
  return {};
}

void trace_to_stderr(std::string_view line) {
  static std::mutex one_at_a_time;
  std::scoped_lock lock(one_at_a_time);
  fmt::print(stderr, "hub: {}\n", line);
}

}  // namespace

bool is_set_to_true(const char* name) {
  std::string value = variable(name).value_or("");
  std::ranges::transform(value, value.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

std::string hub_endpoint() {
  std::string endpoint = hub::Settings().endpoint;
  if (is_set_to_true("HUGGINGFACE_CO_STAGING")) endpoint = "https://hub-ci.huggingface.co";
  if (const auto named = variable("HF_ENDPOINT")) endpoint = *named;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint;
}

hub::Settings hub_settings() {
  hub::Settings settings;
  settings.endpoint = hub_endpoint();
  settings.token = token();
  const auto cache = variable("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE");
  settings.cache = cache ? expanded(*cache) : hub_home() / "hub";
  settings.certificates = certificates();
  settings.offline = is_set_to_true("HF_HUB_OFFLINE") || is_set_to_true("TRANSFORMERS_OFFLINE");
  settings.user_agent = "depickle/" DEPICKLE_VERSION;
  if (const auto origin = variable("HF_HUB_USER_AGENT_ORIGIN")) settings.user_agent += "; origin/" + *origin;
  if (const auto limit = seconds("HF_HUB_DOWNLOAD_TIMEOUT")) settings.stall_timeout = *limit;
  if (const auto limit = seconds("HF_HUB_ETAG_TIMEOUT")) settings.response_timeout = *limit;
  if (is_set_to_true("HF_DEBUG")) settings.trace = trace_to_stderr;
  return settings;
}

}  // namespace depickle::cli
