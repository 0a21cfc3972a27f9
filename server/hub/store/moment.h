// Points in time, as the Hub writes them.
#pragma once

#include <cstdint>
#include <string>

namespace depickle::server {

/// Milliseconds since 1970, UTC.
using Moment = int64_t;

Moment now() noexcept;
/// "2026-01-02T03:04:05.678Z": clients refuse any other offset than Z.
std::string iso_date(Moment moment);

}  // namespace depickle::server
