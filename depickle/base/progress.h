// Progress reports and cancellation.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace depickle {

/// One report: the phase ("write", "compare", "hash"), the file, and the processed and total bytes of the phase for
/// this file. The total is 0 if the phase has no bytes ("commit").
struct Step {
  std::string_view phase;
  std::string_view file;
  uint64_t done_bytes;
  uint64_t total_bytes;
};

/// Called often, from several threads but not at the same time. It throws Error{cancelled} to cancel the work; no
/// incomplete result remains. May be empty.
using Progress = std::function<void(const Step&)>;

}  // namespace depickle
