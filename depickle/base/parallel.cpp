#include "depickle/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace depickle {

void parallel_for(uint64_t count, unsigned threads, const std::function<void(uint64_t)>& body) {
  std::atomic<uint64_t> next = 0;
  std::atomic<bool> stop = false;
  std::exception_ptr first;
  std::mutex first_mutex;
  auto work = [&] {
    while (!stop.load(std::memory_order_relaxed)) {
      uint64_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) return;
      try {
        body(i);
      } catch (...) {
        std::scoped_lock lock(first_mutex);
        if (!first) first = std::current_exception();
        stop = true;
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    const auto max_threads = static_cast<unsigned>(std::min<uint64_t>(threads, count));
    try {
      for (unsigned i = 1; i < max_threads; ++i) helpers.emplace_back(work);
    } catch (const std::system_error&) {
      // EAGAIN: a limit on threads. The running threads do the work.
    }
    work();
  }
  if (first) std::rethrow_exception(first);
}

unsigned default_threads() noexcept { return std::clamp(std::thread::hardware_concurrency(), 1u, 8u); }

}  // namespace depickle
