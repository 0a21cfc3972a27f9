// A loop on several threads.
#pragma once

#include <cstdint>
#include <functional>

namespace depickle {

/// Calls body(i) once for each i in [0, count), on at most `threads` threads (this one included), in increasing order of start.
/// The first exception stops the rest and is thrown here.
void parallel_for(uint64_t count, unsigned threads, const std::function<void(uint64_t)>& body);

/// Threads worth using: the machine's, at most 8.
unsigned default_threads() noexcept;

}  // namespace depickle
