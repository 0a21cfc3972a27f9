// Handles files that are truncated while they are mapped. An access to a lost page raises SIGBUS inside torch or numpy,
// which would kill the interpreter.
#pragma once

#include <memory>
#include <string>

#include "depickle/base/bytes.h"

namespace depickle::python {

/// Guards a mapping during its lifetime. If a page beyond the file's end is accessed, the lost pages are replaced by
/// zeros and the computation continues; OSError is raised in the main thread as soon as it runs Python code, and by
/// each later check(). Other faults go to the previous signal handler.
class TruncationGuard {
 public:
  /// `mapping` contains whole pages (the last one may be partial) of the file of `descriptor`, from its first byte;
  /// both outlive the guard. Installs the signal handler if it is not installed. `name` is the file's name in the
  /// error.
  TruncationGuard(Bytes mapping, int descriptor, std::string name);
  ~TruncationGuard();
  TruncationGuard(const TruncationGuard&) = delete;
  TruncationGuard& operator=(const TruncationGuard&) = delete;

  /// Throws OSError if bytes of the mapping are known to be lost. One atomic load, no system call.
  void check() const;
  /// Also checks the file's current size. For use after a copy.
  void check_size() const;

  struct Watched;

 private:
  Watched* watched_;
};

}  // namespace depickle::python
