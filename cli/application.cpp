#include "cli/application.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <new>
#include <span>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/exit_code.h"
#include "cli/manual.h"
#include "cli/progress_bar.h"
#include "cli/sandbox.h"
#include "depickle/base/text.h"
#include "depickle/sandbox/serve.h"

namespace depickle::cli {
namespace {

// An empty path is the value of an unset shell variable: an option with one is an error, not an option that is absent.
void forbid_empty_paths(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (type != "OUT" && type != "FILE" && type != "DIR") continue;
    option->check(CLI::Validator([](std::string& path) { return path.empty() ? "is empty" : ""; }, ""));
  }
  for (CLI::App* command : app.get_subcommands({})) forbid_empty_paths(*command);
}

void declare(CLI::App& app, Program& program, AddCommands* add_server_commands) {
  app.require_subcommand(1);
  add_help_flags(app);
  app.fallthrough();
  static const std::map<std::string, Console::When> kWhen = {
      {"auto", Console::When::automatic}, {"always", Console::When::always}, {"never", Console::When::never}};
  app.add_option_function<Console::When>(
         "--color", [&](Console::When when) { program.console.set_color(when); }, "Use colors: auto, always or never")
      ->transform(CLI::CheckedTransformer(kWhen))
      ->type_name("WHEN");
  app.add_flag_callback("-q,--quiet", [&] { program.console.set_quiet(true); }, "Do not print progress or notes");
  app.set_version_flag("--version", "depickle " DEPICKLE_VERSION);
  add_inspect(app, program);
  add_convert(app, program);
  add_compare(app, program);
  add_verify(app, program);
  add_scan(app, program);
  add_check(app, program);
  add_pr(app, program);
  add_download(app, program);
  if (add_server_commands) add_server_commands(app, program);
  add_completions(app, program);
  add_version(app, program);
  add_help(app, program);
  add_explanations(app);
  forbid_empty_paths(app);
}

bool any_is(std::span<char* const> words, std::initializer_list<std::string_view> wanted) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return std::ranges::find(wanted, word) != wanted.end(); });
}

// Returns the first argument that is not an option or its value; empty if there is none.
std::string_view command_in(std::span<char* const> words) {
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--color") {
      ++i;
    } else if (!word.starts_with('-')) {
      return word;
    }
  }
  return {};
}

bool has_command(const CLI::App& app, std::string_view name) {
  return std::ranges::any_of(
      app.get_subcommands({}), [&](const CLI::App* command) { return command->get_name() == name; });
}

// Replaces this program by depickle-server beside it, which has all commands, for commands that this program does not
// have, for completions and for help. Returns if depickle-server does not exist.
void run_server_program(const CLI::App& app, std::span<char* const> words) {
  const std::string_view command = command_in(words);
  const bool is_about_all = command == "completions" || command == "help";
  const bool is_own = command.empty() ? any_is(words, {"--version"}) : !is_about_all && has_command(app, command);
  if (is_own) return;
  std::error_code unknown;
  const auto all = std::filesystem::read_symlink("/proc/self/exe", unknown).replace_filename("depickle-server");
  ::execv(all.c_str(), words.data());
}

int report_usage_error(
    const CLI::App& app, std::span<char* const> words, const CLI::ParseError& error, const Console& console) {
  const std::string_view command = command_in(words);
  if (command.empty() || has_command(app, command)) {
    console.error(error.what(), "see depickle --help, or depickle COMMAND --help");
  } else {
    const bool is_server_command = command == "serve" || command == "user" || command == "hub";
    console.error(fmt::format("unknown command {}", quoted(command)),
        is_server_command ? "the Python package does not include the server; build depickle from source"
                          : "see depickle --help");
  }
  return kCouldNot;
}

int run(int count, char** words, AddCommands* add_server_commands) {
  Program program;
  CLI::App app{"Convert models from pickle to safetensors, inspect and check them", "depickle"};
  declare(app, program, add_server_commands);
  const std::span<char* const> given(words, static_cast<size_t>(count));
  if (!add_server_commands) run_server_program(app, given);
  const bool wants_json = any_is(given, {"--json", "--events"});
  program.console.set_json(wants_json || any_is(given, {"--sarif"}));
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return report_usage_error(app, given, error, program.console);
  }
  try {
    int code = program.run();
    program.console.flush();
    return code;
  } catch (const Error& error) {
    program.console.error(error);
    if (wants_json) program.console.out(error_json(error));
    return exit_code(error.code());
  } catch (const std::bad_alloc&) {
    program.console.error("out of memory", "");
    return kCouldNot;
  }
}

}  // namespace

int run_application(int count, char** words, AddCommands* add_server_commands) {
  // A fixed threshold, so that free() always returns large blocks to the system.
  ::mallopt(M_MMAP_THRESHOLD, 128 << 10);
  if (count == 3 && std::string_view(words[1]) == kWorkerWord) return sandbox::serve(std::atoi(words[2]));
  install_signal_handlers();
  try {
    return run(count, words, add_server_commands);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return kCouldNot;
  }
}

}  // namespace depickle::cli
