// The help of the program: short pages (-h), full pages (--help) and man pages, all from the command tree.
#pragma once

#include <filesystem>
#include <string>

namespace CLI {
class App;
}

namespace depickle::cli {

/// Declares -h and --help. Call it before the commands are added, because they inherit the flags.
void add_help_flags(CLI::App& app);

/// Adds the explanations and examples of the full pages. Call it after all commands are added.
void add_explanations(CLI::App& app);

/// Returns the full page of `app` or of one of its commands.
std::string full_help(const CLI::App& app, const std::string& command);

/// Returns the man page of one command, or of the program if `command` is `app`.
std::string man_page(const CLI::App& app, const CLI::App& command);

/// Writes depickle.1 and a page for each command into `folder`, which it creates. Throws Error{io}.
void write_man_pages(const CLI::App& app, const std::filesystem::path& folder);

}  // namespace depickle::cli
