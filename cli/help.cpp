// depickle help: prints the help of the program, of a command or of a topic.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/manual.h"

namespace depickle::cli {
namespace {

constexpr const char* kExitCodes = R"(Exit codes of every command:
  0    done, and the answer is yes
  1    done, and the answer is no: different, has code, refused by policy
  2    could not be done, or the command line is wrong
  3    there was nothing to do: already safetensors, or an equal pull request is open
  4    login or access is required: a private or gated repository
  75   temporary failure: try again
  130  interrupted by Ctrl-C
)";

struct HelpCommand {
  std::string topic;
  std::string man_folder;
};

}  // namespace

void add_help(CLI::App& app, Program& program) {
  auto options = std::make_shared<HelpCommand>();
  CLI::App* command = app.add_subcommand("help", "Print the help of a command or a topic");
  command->add_option("TOPIC", options->topic, "A command, or exit-codes");
  // For the build: cli/CMakeLists.txt.
  command->add_option("--man", options->man_folder, "Write the man pages into a folder")->group("")->type_name("DIR");
  command->callback([&app, options, &program] {
    program.run = [&app, options, &program] {
      if (!options->man_folder.empty()) {
        write_man_pages(app, options->man_folder);
      } else {
        program.console.out(options->topic == "exit-codes" ? kExitCodes : full_help(app, options->topic));
      }
      return kYes;
    };
  });
}

}  // namespace depickle::cli
