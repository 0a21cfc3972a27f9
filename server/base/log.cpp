#include "server/base/log.h"

#include <signal.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "depickle/base/text.h"

namespace depickle::server {
namespace {

constexpr size_t kMaxLines = 10'000;

}  // namespace

struct Log::State {
  explicit State(std::function<void(std::string_view)> write_) : write(std::move(write_)) {}

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return !lines.empty() || is_stopping; });
      if (lines.empty()) break;
      std::deque<std::string> batch = std::exchange(lines, {});
      const size_t count = std::exchange(dropped, 0);
      lock.unlock();
      write_all(batch, count);
      lock.lock();
    }
    has_ended = true;
    changed.notify_all();
  }

  void write_all(const std::deque<std::string>& batch, size_t dropped_lines) const noexcept {
    try {
      for (const std::string& line : batch) write(line);
      if (dropped_lines > 0) write(fmt::format("the log is too slow: {} dropped", plural(dropped_lines, "line")));
    } catch (const std::exception&) {
      return;  // the rest of the batch is lost
    }
  }

  const std::function<void(std::string_view)> write;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> lines;
  size_t dropped = 0;
  bool is_stopping = false, has_ended = false;
};

Log::Log(std::function<void(std::string_view)> write) : state_(std::make_shared<State>(std::move(write))) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the main thread
  std::thread([state = state_] { state->run(); }).detach();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Log::~Log() {
  std::unique_lock lock(state_->mutex);
  state_->is_stopping = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, std::chrono::seconds(1), [this] { return state_->has_ended; });
}

void Log::add(std::string_view line) noexcept {
  std::lock_guard lock(state_->mutex);
  try {
    if (state_->lines.size() < kMaxLines)
      state_->lines.emplace_back(line);
    else
      ++state_->dropped;
  } catch (const std::bad_alloc&) {
    ++state_->dropped;
  }
  state_->changed.notify_all();
}

}  // namespace depickle::server
