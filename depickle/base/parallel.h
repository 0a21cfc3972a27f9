// Parallel loops.
#pragma once

#include <cstdint>
#include <functional>

namespace depickle {

/// Calls body(i) once for each i in [0, count), on at most `threads` threads including the caller's. Calls start in
/// increasing order of i. The first exception stops the loop and is rethrown. Uses fewer threads if the system cannot
/// start more.
void parallel_for(uint64_t count, unsigned threads, const std::function<void(uint64_t)>& body);

/// Returns the number of threads of the machine, at most 8.
unsigned default_threads() noexcept;

}  // namespace depickle
