// A child process that holds the descriptors it was given, and nothing else of ours.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace depickle::os {

/// Killed when destroyed. Not for several threads.
class Process {
 public:
  /// Starts `words`; a program without a slash is looked for in PATH. `descriptors[i]` becomes its descriptor i, -1 is /dev/null, and there are no
  /// others; at most 24. `environment` ("NAME=value") is all that it gets; signals are as from a shell. It dies with the thread that
  /// started it. Throws Error{io}; a program that cannot be run ends with status 127.
  Process(const std::vector<std::string>& words, const std::vector<int>& descriptors,
      const std::vector<std::string>& environment);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void kill() noexcept;
  /// Waits for its end; the status as waitpid(2) has it. 0 where it was waited for before.
  int wait() noexcept;

 private:
  pid_t pid_ = -1;
};

}  // namespace depickle::os
