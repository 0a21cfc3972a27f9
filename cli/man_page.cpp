// Man pages in the man(7) macros.
#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/manual.h"
#include "depickle/base/error.h"
#include "depickle/os/atomic_file.h"

namespace depickle::cli {
namespace {

namespace fs = std::filesystem;

// Escapes text so that roff prints it as it is.
std::string roff(std::string_view text) {
  std::string out;
  for (char c : text) {
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
  }
  return out;
}

std::string upper(std::string text) {
  std::ranges::transform(
      text, text.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

// Paragraphs, with examples, which begin with two spaces, as they are.
std::string paragraphs(std::string_view text) {
  std::string out;
  bool is_example = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with("  ") && !is_example) out += ".nf\n";
    if (!line.starts_with("  ") && is_example) out += ".fi\n";
    is_example = line.starts_with("  ");
    if (line == "Examples:") {
      out += ".SH EXAMPLES\n";
    } else if (!line.empty()) {
      out += roff(is_example ? line.substr(2) : line) + "\n";
    } else {
      out += ".PP\n";
    }
  }
  return is_example ? out + ".fi\n" : out;
}

// "-o, --output OUT", or "SRC".
std::string term(const CLI::Option& option) {
  if (option.get_positional()) return option.get_name(true);
  std::string names;
  for (const std::string& name : option.get_snames()) names += (names.empty() ? "-" : ", -") + name;
  for (const std::string& name : option.get_lnames()) names += (names.empty() ? "--" : ", --") + name;
  return option.get_type_size() == 0 || option.get_type_name().empty() ? names : names + " " + option.get_type_name();
}

std::string options_of(const CLI::App& command) {
  std::string out;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    std::string text = option->get_description();
    if (!option->get_default_str().empty()) text += fmt::format(" (default: {})", option->get_default_str());
    out += fmt::format(".TP\n.B {}\n{}\n", roff(term(*option)), roff(text));
  }
  return out;
}

std::string positionals_of(const CLI::App& command) {
  std::string out;
  for (const CLI::Option* option : command.get_options())
    if (option->get_positional()) out += " " + option->get_name(true);
  return out;
}

}  // namespace

std::string man_page(const CLI::App& app, const CLI::App& command) {
  const bool is_program = &command == &app;
  const std::string name = is_program ? app.get_name() : app.get_name() + "-" + command.get_name();
  const auto verbs = command.get_subcommands({});
  std::string out = fmt::format(".TH {} 1 \"\" \"depickle {}\" \"User Commands\"\n", upper(name), DEPICKLE_VERSION);
  out += fmt::format(".SH NAME\n{} \\- {}\n", roff(name), roff(command.get_description()));
  out += fmt::format(".SH SYNOPSIS\n.B {}\n[OPTIONS]{}\n",
      roff(is_program ? app.get_name() : app.get_name() + " " + command.get_name()),
      verbs.empty() ? positionals_of(command) : std::string(" COMMAND"));
  const std::string explanation = command.get_footer();
  const size_t examples = std::min(explanation.find("Examples:"), explanation.size());
  out += fmt::format(".SH DESCRIPTION\n{}.\n", roff(command.get_description()));
  if (examples > 0) out += ".PP\n" + paragraphs(explanation.substr(0, explanation.find("\n\nExamples:")));
  out += ".SH OPTIONS\n" + options_of(command);
  if (!verbs.empty()) out += ".SH COMMANDS\n";
  for (const CLI::App* verb : verbs) {
    if (is_program) {
      out += fmt::format(".TP\n.BR depickle\\-{} (1)\n{}\n", roff(verb->get_name()), roff(verb->get_description()));
    } else {
      out += fmt::format(".SS {}{}\n{}\n{}", roff(verb->get_name()), roff(positionals_of(*verb)),
          roff(verb->get_description()), options_of(*verb));
    }
  }
  out += paragraphs(explanation.substr(examples));
  out += ".SH EXIT STATUS\nSee\n.BR \"depickle help exit\\-codes\" .\n";
  return is_program ? out : out + ".SH SEE ALSO\n.BR depickle (1)\n";
}

void write_man_pages(const CLI::App& app, const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw system_error(failed.value(), "cannot create the folder", folder.string());
  auto write = [&](const std::string& name, const CLI::App& command) {
    os::write_atomically(folder / (name + ".1"), man_page(app, command), os::IfExists::replace);
  };
  write(app.get_name(), app);
  for (const CLI::App* command : app.get_subcommands({})) write(app.get_name() + "-" + command->get_name(), *command);
}

}  // namespace depickle::cli
