// What one address may cost: connections at once, and requests a second. Not for several threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace depickle::server::http {

struct AddressLimits {
  uint32_t connections = 8'000;     ///< at once; more are answered with 429
  double requests_per_second = 50;  ///< in the long run; more are answered with 429
  double burst = 500;               ///< that may come at once after a quiet time
  bool loopback_is_exempt = true;  ///< from the rate, not from the connections: this machine's own programs and proxies
};

/// Has an entry for each address that is connected or was rate-limited recently. An IPv6 /64 network counts as one address.
class Addresses {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Addresses(const AddressLimits& limits) : limits_(limits) {}

  /// False where the address has all the connections that it may have. Each true is to be paired with a disconnect().
  bool connect(std::string_view address);
  void disconnect(std::string_view address);
  /// Counts a request. → how long until the next one is answered: zero where this one is.
  std::chrono::seconds request(std::string_view address, Clock::time_point now);
  /// Forgets who has been quiet; now and then.
  void forget_quiet(Clock::time_point now);
  size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    uint32_t connections = 0;
    double tokens;
    Clock::time_point counted;
  };
  Entry& entry(std::string_view address);
  double tokens_at(const Entry& entry, Clock::time_point now) const;

  AddressLimits limits_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace depickle::server::http
