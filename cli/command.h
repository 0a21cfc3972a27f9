// What every command of the program is made of.
#pragma once

#include <functional>

#include "cli/console.h"

namespace CLI {
class App;
}

namespace depickle::cli {

/// What main() runs after the command line is parsed: the chosen command, whose result is the exit code.
struct Program {
  Console console;
  std::function<int()> run;
};

// Each declares one command with its options, and sets Program::run where the user chose it.
void add_inspect(CLI::App& app, Program& program);
void add_convert(CLI::App& app, Program& program);
void add_compare(CLI::App& app, Program& program);
void add_verify(CLI::App& app, Program& program);
void add_scan(CLI::App& app, Program& program);
void add_serve(CLI::App& app, Program& program);
void add_user(CLI::App& app, Program& program);
void add_check(CLI::App& app, Program& program);
void add_pr(CLI::App& app, Program& program);
void add_download(CLI::App& app, Program& program);
void add_completions(CLI::App& app, Program& program);
void add_version(CLI::App& app, Program& program);
void add_help(CLI::App& app, Program& program);

}  // namespace depickle::cli
