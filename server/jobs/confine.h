// Takes from this process every right that a job does not need.
#pragma once

#include "server/jobs/messages.h"

namespace depickle::server::jobs {

/// Confines this process and everything that it starts. Afterwards it
/// - can write only in the two folders, and read only these, the system's libraries, certificates and resolver files,
///   and execute only itself or `confinement.sandbox` (Landlock, if the kernel has it);
/// - is not dumpable, writes no core file, gets no new privileges, and has at most `confinement.memory_bytes` of
/// memory.
///
/// Call it while the process is single-threaded. Throws Error{io}.
void confine(const Confinement& confinement);

}  // namespace depickle::server::jobs
