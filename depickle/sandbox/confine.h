// Taking everything away from this process that reading a model does not need.
#pragma once

#include "depickle/sandbox/messages.h"

namespace depickle::sandbox {

/// From here on, and for all threads to come: no file is opened, made, renamed or removed (EACCES); a socket, a program, another process, or any
/// other system call beyond reading, writing and mapping what is open already, ends this process with SIGSYS. Memory that is mapped
/// cannot be run. Linux only, by seccomp(2). Throws Error{unsupported} where the kernel has none.
void confine(const Bounds& bounds);

}  // namespace depickle::sandbox
