// What the commands have in common.
#pragma once

#include <functional>

#include "cli/console.h"

namespace CLI {
class App;
}

namespace depickle::cli {

/// The state that main() and the commands share.
struct Program {
  Console console;
  bool sandbox = true;       ///< false after --no-sandbox
  std::function<int()> run;  ///< the selected command, set by the parser; returns the exit code
};

// Each declares one command and its options. The command's callback sets Program::run.
void add_inspect(CLI::App& app, Program& program);
void add_convert(CLI::App& app, Program& program);
void add_compare(CLI::App& app, Program& program);
void add_verify(CLI::App& app, Program& program);
void add_scan(CLI::App& app, Program& program);
void add_serve(CLI::App& app, Program& program);
void add_user(CLI::App& app, Program& program);
void add_hub(CLI::App& app, Program& program);
void add_check(CLI::App& app, Program& program);
void add_pr(CLI::App& app, Program& program);
void add_download(CLI::App& app, Program& program);
void add_completions(CLI::App& app, Program& program);
void add_version(CLI::App& app, Program& program);
void add_help(CLI::App& app, Program& program);

}  // namespace depickle::cli
