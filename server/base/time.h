// Points in time.
#pragma once

#include <cstdint>
#include <string>

namespace depickle::server {

/// Milliseconds since 1970, UTC.
using Moment = int64_t;

Moment now_ms() noexcept;
/// Returns "2026-01-02T03:04:05.678Z". Clients of the Hub accept no offset other than Z.
std::string iso_date(Moment moment);

}  // namespace depickle::server
