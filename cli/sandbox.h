// Starts this program as a sandboxed process that parses files.
#pragma once

#include "depickle/sandbox/sandbox.h"

namespace depickle::cli {

/// The argument that makes this program a sandboxed process. Not a command for users.
inline constexpr const char* kWorkerWord = "worker";

/// Returns how this program starts itself. Ctrl-C ends the started process.
sandbox::SandboxOptions sandbox_options();

}  // namespace depickle::cli
