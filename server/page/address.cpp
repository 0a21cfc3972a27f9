#include "server/page/address.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/address.h"
#include "depickle/hub/settings.h"

namespace depickle::server::page {
namespace {

bool is_url(std::string_view text) { return text.starts_with("http://") || text.starts_with("https://"); }

/// What stands behind `host` in the URL; empty where it is on another host.
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

constexpr const char* kWanted = "write org/name, org/name@revision, or paste the address of a model's page";

}  // namespace

JobRequest read_wish(Kind kind, const std::string& address, uint64_t number, bool pull_request, const std::string& hub,
    const std::string& own_host) {
  JobRequest wish{.kind = kind, .address = address, .number = number};
  std::string text = trimmed(address);
  if (text.empty()) throw Error(Code::malformed, "", "there is no address", {}, kWanted);
  if (is_url(text)) {
    auto here = below(text, own_host);
    auto there = below(text, "huggingface.co");
    wish.elsewhere = !here && there && !hub.starts_with(hub::kPublicEndpoint);
    if (here || there) text = hub + std::string(here ? *here : *there);
    if (!here && !there && !text.starts_with(hub))
      throw Error(Code::unsupported, "", fmt::format("{} is not on this server's Hub", quoted(text)), {}, kWanted);
  }
  hub::Address parsed = [&] {
    try {
      return hub::parse_address(text, hub);
    } catch (const Error& error) {
      throw error.code() == Code::malformed ? error.with_hint(kWanted) : error;
    }
  }();
  if (parsed.repo.type() != hub::RepoType::model)
    throw Error(Code::unsupported, "", fmt::format("{} is not a model", parsed.repo.page_path()), {}, kWanted);
  wish.repo = parsed.repo.name();
  wish.revision = parsed.revision;
  if (kind == Kind::inspect) wish.path = parsed.path;
  const auto named = parsed.discussion ? parsed.discussion : hub::pull_request_number(parsed.revision);
  if (kind == Kind::check) {
    if (wish.number == 0) wish.number = named.value_or(0);
    wish.revision.clear();
    if (wish.number == 0)
      throw Error(Code::malformed, "", "which pull request?", {}, "give its number, or paste its address");
  } else {
    wish.number = 0;
    if (kind == Kind::inspect && parsed.discussion) wish.revision = hub::pull_request_revision(*parsed.discussion);
  }
  wish.pull_request = kind == Kind::check || kind == Kind::inspect || pull_request;
  return wish;
}

}  // namespace depickle::server::page
