#include "server/base/time.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include <fmt/format.h>

namespace depickle::server {

Moment now_ms() noexcept {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::string iso_date(Moment moment) {
  // A pushed commit may have any date. Clients parse the years 1970 to 9999 only.
  constexpr Moment kEndOf9999 = 253402300799999;
  moment = std::clamp<Moment>(moment, 0, kEndOf9999);
  std::time_t seconds = moment / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
      parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, moment % 1000);
}

}  // namespace depickle::server
