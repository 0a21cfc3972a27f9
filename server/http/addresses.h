// Limits for one client address: connections, and requests per second.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace depickle::server::http {

struct AddressLimits {
  uint32_t connections = 8'000;     ///< open at the same time; more get status 429
  double requests_per_second = 50;  ///< sustained rate; more get status 429
  double burst = 500;               ///< requests that an address may send at once after it was idle
  bool loopback_is_exempt = true;   ///< from the request rate, not from the connections: local programs and proxies
};

/// Returns what counts as one address: the address, or for IPv6 the /64 network.
std::string network_of(std::string_view address);

/// A token bucket and a connection count for each address. An address has an entry while it is connected or its bucket
/// is not full. An IPv6 /64 network counts as one address. Not thread-safe.
class Addresses {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Addresses(const AddressLimits& limits) : limits_(limits) {}

  /// Counts a connection. Returns false if the address has the maximum; otherwise the caller must call
  /// disconnect() later.
  bool connect(std::string_view address);
  void disconnect(std::string_view address);
  /// Counts a request. Returns 0 if it may be answered, else the time until the next one may.
  std::chrono::seconds request(std::string_view address, Clock::time_point now);
  /// Removes the entries of addresses without connections whose bucket is full.
  void remove_idle(Clock::time_point now);
  size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    uint32_t connections = 0;
    double tokens;
    Clock::time_point updated;
  };
  Entry& entry(std::string_view address);
  double tokens_at(const Entry& entry, Clock::time_point now) const;

  AddressLimits limits_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace depickle::server::http
