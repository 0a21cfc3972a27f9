// The status of an open file.
#pragma once

#include <sys/stat.h>

#include <string>

namespace depickle::os {

/// Calls fstat(2) itself. fstat(3) of some versions of the C library calls newfstatat(2), which a sandboxed process
/// must not have: it accepts a path, and a seccomp filter cannot check that the path is empty. `name` is the file's
/// name in errors. Throws Error{io}.
struct stat status_of(int descriptor, const std::string& name);

}  // namespace depickle::os
