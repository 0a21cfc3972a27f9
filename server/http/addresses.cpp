#include "server/http/addresses.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>

namespace depickle::server::http {
namespace {

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

}  // namespace

std::string network_of(std::string_view address) {
  std::string text(address.substr(0, address.find('%')));
  in6_addr bytes{};
  if (::inet_pton(AF_INET6, text.c_str(), &bytes) != 1 || IN6_IS_ADDR_V4MAPPED(&bytes) || IN6_IS_ADDR_LOOPBACK(&bytes))
    return text;
  std::fill(bytes.s6_addr + 8, bytes.s6_addr + 16, 0);
  char network[INET6_ADDRSTRLEN];
  return ::inet_ntop(AF_INET6, &bytes, network, sizeof network);
}

Addresses::Entry& Addresses::entry(std::string_view address) {
  return entries_.try_emplace(network_of(address), Entry{0, limits_.burst, Clock::time_point{}}).first->second;
}

double Addresses::tokens_at(const Entry& entry, Clock::time_point now) const {
  double passed = std::chrono::duration<double>(now - entry.updated).count();
  return std::min(limits_.burst, entry.tokens + passed * limits_.requests_per_second);
}

bool Addresses::connect(std::string_view address) {
  Entry& known = entry(address);
  if (known.connections >= limits_.connections) return false;
  ++known.connections;
  return true;
}

void Addresses::disconnect(std::string_view address) {
  auto at = entries_.find(network_of(address));
  if (at != entries_.end() && at->second.connections > 0) --at->second.connections;
}

std::chrono::seconds Addresses::request(std::string_view address, Clock::time_point now) {
  if (limits_.loopback_is_exempt && is_loopback(address)) return {};
  Entry& known = entry(address);
  known.tokens = tokens_at(known, now);
  known.updated = now;
  if (known.tokens < 1)
    return std::chrono::seconds(static_cast<int64_t>(std::ceil((1 - known.tokens) / limits_.requests_per_second)));
  known.tokens -= 1;
  return {};
}

void Addresses::remove_idle(Clock::time_point now) {
  std::erase_if(entries_,
      [&](const auto& pair) { return pair.second.connections == 0 && tokens_at(pair.second, now) >= limits_.burst; });
}

}  // namespace depickle::server::http
