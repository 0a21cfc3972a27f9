#include "cli/manual.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "depickle/base/error.h"

namespace depickle::cli {
namespace {

constexpr const char* kProgram =
    R"(No code in a file is executed. Data goes to stdout, everything else to stderr.
Exit codes: depickle help exit-codes)";

// Paragraphs, and examples in lines that begin with two spaces.
constexpr std::pair<std::string_view, const char*> kExplanations[] = {
    {"inspect",
        R"(Reads only the table of tensors, not their data.

Examples:
  depickle inspect pytorch_model.bin
  depickle inspect hf://org/name --json)"},
    {"convert",
        R"(Reads each new file back and compares it with its source, bit for bit. Replaces no file without --force.
A folder is converted with its subfolders. A repository needs --pr or -o.

Examples:
  depickle convert pytorch_model.bin
  depickle convert models/ -o converted/
  depickle convert org/name --pr --dry-run)"},
    {"compare",
        R"(Exits with 0 if both models contain the same names, dtypes, shapes and bits.

Examples:
  depickle compare pytorch_model.bin model.safetensors)"},
    {"verify",
        R"(Computes the digests of the files in the receipt again. If the source still exists, also compares it with
the target, bit for bit.

Examples:
  depickle convert pytorch_model.bin --receipt receipt.json
  depickle verify receipt.json)"},
    {"scan",
        R"(Lists the globals and calls of each pickle. Executes nothing. In a folder, scans every pickle.

Examples:
  depickle scan models/ --json
  depickle scan hf://org/name)"},
    {"check",
        R"(Exits with 0 if the pull request adds only weights and all tensors equal those of the base's pickles.
Reads by range requests and stores nothing.

Examples:
  depickle check org/name 1)"},
    {"pr",
        R"(Examples:
  depickle pr list org/name
  depickle pr merge org/name 1 --yes)"},
    {"download",
        R"(Uses the cache of huggingface_hub and its environment variables.

Examples:
  depickle download org/name --paranoid
  depickle download org/name --include '*.json')"},
    {"serve",
        R"(The embedded Hub serves huggingface_hub, git and depickle. The server has no TLS: use a
reverse proxy if other machines can reach it.

Examples:
  depickle serve --data hub --import models/
  depickle serve --hub https://huggingface.co --personal)"},
    {"user",
        R"(Examples:
  depickle user add me --data hub
  depickle user list --data hub
  depickle user revoke me 0f3b5c1d9a27 --data hub)"},
    {"hub",
        R"(`hub gc` deletes LFS objects that no commit names, xorbs, unfinished uploads and temporary files. The Hub
may run meanwhile; it does the same each hour, but reads the history of a repository only if a ref was deleted. With
--min-age 0, uploads that run have to start again.

Examples:
  depickle hub gc --data hub --dry-run
  depickle hub gc --data hub --min-age 0)"},
    {"completions",
        R"(Examples:
  depickle completions bash > ~/.local/share/bash-completion/completions/depickle)"},
    {"help",
        R"(Examples:
  depickle help exit-codes
  depickle help convert)"},
};

// The short page has no explanations, the full page all.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    const bool is_full = mode == CLI::AppFormatMode::All;
    std::string out = is_full ? make_description(app) + "\n" : "";
    out += make_usage(app, name) + make_positionals(app) + make_groups(app, CLI::AppFormatMode::Normal) +
           make_subcommands(app, CLI::AppFormatMode::Normal);
    return out + "\n" + (is_full ? make_footer(app) : fmt::format("Full help: {} --help\n", name));
  }
};

}  // namespace

void add_help_flags(CLI::App& app) {
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_help_flag("-h", "Print a short help page");
  app.set_help_all_flag("--help", "Print the full help page");
}

void add_explanations(CLI::App& app) {
  app.footer(kProgram);
  for (CLI::App* command : app.get_subcommands({})) {
    const auto* text =
        std::ranges::find(kExplanations, command->get_name(), [](const auto& each) { return each.first; });
    command->footer(text == std::end(kExplanations) ? "" : text->second);
  }
}

std::string full_help(const CLI::App& app, const std::string& command) {
  // Not app.help(), which returns the page of the command that was parsed: help.
  auto page = [&](const CLI::App& of, const std::string& name) {
    return of.get_formatter()->make_help(&of, name, CLI::AppFormatMode::All);
  };
  if (command.empty()) return page(app, app.get_name());
  for (const CLI::App* each : app.get_subcommands({}))
    if (each->get_name() == command) return page(*each, app.get_name() + " " + command);
  throw Error(Code::not_found, "", "unknown topic or command: " + command, {}, "see depickle --help");
}

}  // namespace depickle::cli
