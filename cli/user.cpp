// depickle user: manages the users of the embedded Hub.
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "server/hub/repos/users.h"

namespace depickle::cli {
namespace {

struct UserCommand {
  std::string name;
  std::string data = "depickle-hub";
  bool read_only = false;
};

}  // namespace

void add_user(CLI::App& app, Program& program) {
  auto options = std::make_shared<UserCommand>();
  CLI::App* command = app.add_subcommand("user", "Manage users of the embedded Hub");
  command->require_subcommand(1);
  CLI::App* add = command->add_subcommand("add", "Create a token, and the user if needed, and print the token");
  add->add_option("NAME", options->name, "Letters, digits, - _ and .")->required();
  add->add_option("--data", options->data, "Data folder of the Hub, which may be running")
      ->capture_default_str()
      ->type_name("DIR");
  add->add_flag("--read-only", options->read_only, "Create a token without write access");
  add->callback([options, &program] {
    program.run = [options, &program] {
      server::repos::Users users = server::repos::Users::open(options->data);
      program.console.out(users.add_token(options->name, !options->read_only) + "\n");
      return kYes;
    };
  });
}

}  // namespace depickle::cli
