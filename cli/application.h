// The program: parses the command line, runs the command, and reports its errors.
#pragma once

#include "cli/command.h"

namespace depickle::cli {

using AddCommands = void(CLI::App& app, Program& program);

/// Returns the exit code. `add_server_commands` is null in a program without the server, which replaces itself by
/// depickle-server, if it is in the same folder, for the server's commands.
int run_application(int count, char** words, AddCommands* add_server_commands);

}  // namespace depickle::cli
