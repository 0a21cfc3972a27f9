// A log that never waits for its reader.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace depickle::server {

/// Passes lines to `write` on a thread of its own, so a terminal or pipe that nobody reads delays no request. Drops
/// lines while 10,000 are waiting, and says later how many. Safe to use from several threads.
class Log {
 public:
  /// `write` is called with one line, without a line feed.
  explicit Log(std::function<void(std::string_view)> write);
  /// Waits at most a second for the lines that are not written yet.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Adds a line, or counts it as dropped if there is no memory for it.
  void add(std::string_view line) noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace depickle::server
