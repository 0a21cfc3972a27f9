// How long work tells what it is doing, and how it is told to stop.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace depickle {

/// One report: `phase` ("write", "compare", "hash"), the file it is about, and bytes done of the phase's total for that file;
/// a total of 0 where the phase has no bytes ("commit").
struct Step {
  std::string_view phase;
  std::string_view file;
  uint64_t done_bytes;
  uint64_t total_bytes;
};

/// Called often and from several threads, one at a time. To stop the work it throws Error{cancelled}; nothing is left half-done.
/// Empty: nobody listens.
using Progress = std::function<void(const Step&)>;

}  // namespace depickle
