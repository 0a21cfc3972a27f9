// depickle help [TOPIC].
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/exit_code.h"

namespace depickle::cli {
namespace {

constexpr const char* kExitCodes = R"(Exit codes of every command:
  0    done, and the answer is yes
  1    done, and the answer is no: different, has code, refused by policy
  2    the work could not be done, or the command line is wrong
  3    there was nothing to do: already safetensors, or an equal pull request is open
  4    a login is needed, or access to a gated repository
  75   temporary failure: try again
  130  interrupted by Ctrl-C
)";

std::string help_of(const CLI::App& app, const std::string& command) {
  for (const CLI::App* each : app.get_subcommands({})) {
    if (each->get_name() == command) return each->help(app.get_name());
  }
  throw Error(Code::not_found, "", "no such topic or command: " + command, {}, "see depickle --help");
}

}  // namespace

void add_help(CLI::App& app, Program& program) {
  auto topic = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("help", "Show the help of a topic or a command");
  command->add_option("TOPIC", *topic, "exit-codes, or the name of a command");
  command->callback([&app, topic, &program] {
    program.run = [&app, topic, &program] {
      if (topic->empty()) {
        program.console.out(app.help("", CLI::AppFormatMode::All));
      } else if (*topic == "exit-codes") {
        program.console.out(kExitCodes);
      } else {
        program.console.out(help_of(app, *topic));
      }
      return kYes;
    };
  });
}

}  // namespace depickle::cli
