// Files that somebody cuts short while they are mapped. A page that vanished raises SIGBUS where it is touched, in the
// middle of torch or numpy; left alone that kills the interpreter.
#pragma once

#include <memory>
#include <string>

#include "depickle/base/bytes.h"

namespace depickle::python {

/// Guards a mapping for as long as it lives. Where a page behind the file's end is touched, the vanished pages become
/// zeros, the computation goes on, and OSError is raised in the main thread as soon as it runs Python code, and by
/// every check() from then on. Other faults go to the handler that was there before.
class CutFileGuard {
 public:
  /// `mapping` are whole pages (the last one may be partial) of what `descriptor` has open, from its first byte on;
  /// both outlive the guard. Installs the signal handler where it is not in its place. `name` is the file's, for the
  /// error.
  CutFileGuard(Bytes mapping, int descriptor, std::string name);
  ~CutFileGuard();
  CutFileGuard(const CutFileGuard&) = delete;
  CutFileGuard& operator=(const CutFileGuard&) = delete;

  /// Throws OSError where bytes of the mapping are known to be lost. A load; no system call.
  void check() const;
  /// The same after asking how long the file is now: for after a copy.
  void check_size() const;

  struct Watched;

 private:
  Watched* watched_;
};

}  // namespace depickle::python
