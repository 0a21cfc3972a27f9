#include "server/page/address.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/address.h"
#include "depickle/hub/settings.h"

namespace depickle::server::page {
namespace {

bool is_url(std::string_view text) { return text.starts_with("http://") || text.starts_with("https://"); }

/// Returns the part of the URL after `host`; nullopt if the URL is on another host.
std::optional<std::string_view> below(std::string_view url, std::string_view host) {
  url.remove_prefix(url.find("://") + 3);
  if (host.empty() || !url.starts_with(host)) return std::nullopt;
  std::string_view rest = url.substr(host.size());
  if (!rest.empty() && rest[0] != '/' && rest[0] != '?' && rest[0] != '#') return std::nullopt;
  return rest;
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

constexpr const char* kAddressHint = "enter org/name or org/name@revision, or paste the URL of a model page";

}  // namespace

JobRequest parse_job_request(JobKind kind, const std::string& address, uint64_t number, bool pull_request,
    const std::string& hub, const std::string& own_host) {
  JobRequest request{.kind = kind, .address = address, .number = number};
  std::string text = trimmed(address);
  if (text.empty()) throw Error(Code::malformed, "", "the address is empty", {}, kAddressHint);
  if (is_url(text)) {
    auto here = below(text, own_host);
    auto there = below(text, "huggingface.co");
    request.is_from_public_hub = !here && there && !hub.starts_with(hub::kPublicEndpoint);
    if (here || there) text = hub + std::string(here ? *here : *there);
    if (!here && !there && !text.starts_with(hub))
      throw Error(Code::unsupported, "", fmt::format("{} is not on this server's Hub", quoted(text)), {}, kAddressHint);
  }
  hub::Address parsed = [&] {
    try {
      return hub::parse_address(text, hub);
    } catch (const Error& error) {
      throw error.code() == Code::malformed ? error.with_hint(kAddressHint) : error;
    }
  }();
  if (parsed.repo.type() != hub::RepoType::model)
    throw Error(Code::unsupported, "", fmt::format("{} is not a model", parsed.repo.page_path()), {}, kAddressHint);
  request.repo = parsed.repo.name();
  request.revision = parsed.revision;
  if (kind == JobKind::inspect) request.path = parsed.path;
  const auto named = parsed.discussion ? parsed.discussion : hub::pull_request_number(parsed.revision);
  if (kind == JobKind::check) {
    if (request.number == 0) request.number = named.value_or(0);
    request.revision.clear();
    if (request.number == 0)
      throw Error(Code::malformed, "", "the number of the pull request is missing", {},
          "enter its number or paste its address");
  } else {
    request.number = 0;
    if (kind == JobKind::inspect && parsed.discussion)
      request.revision = hub::pull_request_revision(*parsed.discussion);
  }
  request.pull_request = kind == JobKind::check || kind == JobKind::inspect || pull_request;
  return request;
}

}  // namespace depickle::server::page
