#include "server/hub/store/moment.h"

#include <chrono>
#include <ctime>

#include <fmt/format.h>

namespace depickle::server {

Moment now() noexcept {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::string iso_date(Moment moment) {
  // A commit that somebody pushed may claim any year: what a client's parser cannot take is shown as the nearest that it can.
  constexpr Moment kLast = 253402300799999;  // the end of 9999
  moment = moment < 0 ? 0 : moment > kLast ? kLast : moment;
  std::time_t seconds = moment / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
      parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, moment % 1000);
}

}  // namespace depickle::server
