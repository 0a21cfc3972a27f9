// A child process that holds some open descriptors, and nothing else of ours.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace depickle::worker {

/// Killed when destroyed.
class Process {
 public:
  /// Starts `words` with `descriptors` as its 3, 4, …; no other of ours, standard output and error aside, and no environment but what `environment` says. It
  /// dies with the thread that started it. Throws Error{io}.
  Process(const std::vector<std::string>& words, const std::vector<int>& descriptors,
      const std::vector<std::string>& environment);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void kill() noexcept;
  /// Waits for its end; the status as waitpid(2) has it. Once.
  int wait() noexcept;

 private:
  pid_t pid_ = -1;
};

}  // namespace depickle::worker
