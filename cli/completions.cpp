// depickle completions: generates completion scripts for bash, zsh and fish from the command tree.
#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/exit_code.h"

namespace depickle::cli {
namespace {

struct Declared {
  std::string name, description;
  std::vector<std::pair<std::string, std::string>> options;  ///< name and description; those of subcommands too
  std::vector<std::string> verbs;                            ///< subcommands, as of `pr`: list, show …
};

void add_options(Declared& found, const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    for (const std::string& name : option->get_lnames()) {
      const std::pair<std::string, std::string> declared("--" + name, option->get_description());
      if (std::ranges::find(found.options, declared) == found.options.end()) found.options.push_back(declared);
    }
  }
}

std::vector<Declared> declared(const CLI::App& app) {
  std::vector<Declared> commands;
  for (const CLI::App* command : app.get_subcommands({})) {
    Declared found{command->get_name(), command->get_description(), {}, {}};
    add_options(found, *command);
    for (const CLI::App* verb : command->get_subcommands({})) {
      found.verbs.push_back(verb->get_name());
      add_options(found, *verb);
    }
    commands.push_back(std::move(found));
  }
  return commands;
}

std::string quoted_for_shell(std::string text) {
  for (size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 4) text.replace(at, 1, "'\\''");
  return "'" + text + "'";
}

std::vector<std::string> names_of(const std::vector<Declared>& commands) {
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const Declared& command : commands) names.push_back(command.name);
  return names;
}

std::string bash(const std::vector<Declared>& commands) {
  std::string cases;
  for (const Declared& command : commands) {
    std::vector<std::string> options;
    options.reserve(command.options.size());
    for (const auto& [name, what] : command.options) options.push_back(name);
    cases += fmt::format(
        "    {}) words='{}' verbs='{}' ;;\n", command.name, fmt::join(options, " "), fmt::join(command.verbs, " "));
  }
  return fmt::format(R"(_depickle() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words= verbs=
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '{}' -- "$word"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{}  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$word"))
  elif ((COMP_CWORD == 2)) && [[ $verbs ]]; then
    COMPREPLY=($(compgen -W "$verbs" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _depickle depickle
)",
      fmt::join(names_of(commands), " "), cases);
}

std::string zsh(const std::vector<Declared>& commands) {
  std::string names, cases;
  for (const Declared& command : commands) {
    names += fmt::format("    {}\n", quoted_for_shell(command.name + ":" + command.description));
    cases += fmt::format("    {}) _arguments", command.name);
    for (const auto& [name, what] : command.options) cases += " " + quoted_for_shell(name);
    if (!command.verbs.empty()) cases += fmt::format(" '1:verb:({})'", fmt::join(command.verbs, " "));
    cases += " '*:file:_files' ;;\n";
  }
  return fmt::format(R"(#compdef depickle
_depickle() {{
  local -a commands=(
{}  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
{}  esac
}}
compdef _depickle depickle
)",
      names, cases);
}

std::string fish(const std::vector<Declared>& commands) {
  std::string out;
  for (const Declared& command : commands) {
    out += fmt::format("complete -c depickle -n __fish_use_subcommand -f -a {} -d {}\n", command.name,
        quoted_for_shell(command.description));
    if (!command.verbs.empty())
      out += fmt::format("complete -c depickle -n '__fish_seen_subcommand_from {}' -f -a '{}'\n", command.name,
          fmt::join(command.verbs, " "));
    for (const auto& [name, what] : command.options)
      out += fmt::format("complete -c depickle -n '__fish_seen_subcommand_from {}' -l {} -d {}\n", command.name,
          name.substr(2), quoted_for_shell(what));
  }
  return out;
}

}  // namespace

void add_completions(CLI::App& app, Program& program) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completions", "Print a completion script for a shell");
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([shell, &app, &program] {
    program.run = [shell, &app, &program] {
      std::vector<Declared> commands = declared(app);
      program.console.out(*shell == "bash" ? bash(commands) : *shell == "zsh" ? zsh(commands) : fish(commands));
      return kYes;
    };
  });
}

}  // namespace depickle::cli
