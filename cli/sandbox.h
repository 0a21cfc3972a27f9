// The program as its own worker: what reads hostile files for it, in a process that can do nothing else.
#pragma once

#include "depickle/sandbox/sandbox.h"

namespace depickle::cli {

/// The words behind the program's name that make it a worker. No command of its own: people never say it.
inline constexpr const char* kWorkerWord = "worker";

/// How this program starts itself as a worker, which Ctrl-C ends.
sandbox::SandboxOptions sandbox_options();

}  // namespace depickle::cli
