// A child process that inherits only the given descriptors and environment.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace depickle::os {

/// A child process; the destructor kills it. Not thread-safe.
class Process {
 public:
  /// Starts the program arguments[0]; PATH is searched if it contains no slash. `descriptors[i]` becomes descriptor i
  /// of the child, -1 is /dev/null; at most 24, all others are closed. `environment` ("NAME=value") is the child's
  /// whole environment; signal handlers and masks are reset. The child is killed when the thread that started it ends.
  /// Throws Error{io}. If the program cannot be run, the child exits with status 127.
  Process(const std::vector<std::string>& arguments, const std::vector<int>& descriptors,
      const std::vector<std::string>& environment);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void kill() noexcept;
  /// Waits until the child ends. Returns its status as waitpid(2); may be called again.
  int wait() noexcept;
  /// Waits at most `timeout_ms`. Returns whether the child has ended.
  bool wait_for(int timeout_ms) noexcept;
  /// The processor time of a child that was waited for.
  double cpu_seconds() const noexcept { return cpu_seconds_; }

 private:
  bool reap(int options) noexcept;

  pid_t pid_ = -1;
  int status_ = 0;
  double cpu_seconds_ = 0;
};

}  // namespace depickle::os
