// Starts this program as a sandboxed process that parses files.
#pragma once

#include "cli/command.h"
#include "depickle/repo/engine.h"
#include "depickle/sandbox/sandbox.h"

namespace depickle::cli {

/// The argument that makes this program a sandboxed process. Not a command for users.
inline constexpr const char* kWorkerWord = "worker";

/// Returns how this program starts itself. Ctrl-C ends the started process.
sandbox::SandboxOptions sandbox_options();

/// Adds --no-sandbox to a command that parses files.
void add_sandbox_option(CLI::App& command, Program& program);

/// Returns what parses the files of all commands: sandboxed processes, or this process after --no-sandbox.
repo::Engine& file_engine(const Program& program);

}  // namespace depickle::cli
