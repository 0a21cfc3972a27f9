// Removes every right that this process does not need for reading a model.
#pragma once

#include "depickle/sandbox/messages.h"

namespace depickle::sandbox {

/// Confines this process and all its future threads. Opening, creating or stating a file fails with EACCES. Opening a
/// socket, starting a program or process, renaming or removing a file, and every other system call except reading,
/// writing and mapping open files, kills the process with SIGSYS. Memory cannot be made executable. Linux only, with
/// seccomp(2). Throws Error{unsupported} if the kernel does not support it.
void confine(const ResourceLimits& limits);

}  // namespace depickle::sandbox
