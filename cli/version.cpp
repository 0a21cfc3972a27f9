// depickle version: prints the version.
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "depickle/base/json.h"

namespace depickle::cli {

void add_version(CLI::App& app, Program& program) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("version", "Print the version");
  command->add_flag("--json", *json, "Print one JSON object");
  command->callback([json, &program] {
    program.run = [json, &program] {
      if (*json) {
        std::string out;
        JsonWriter(out).object().key("schema").value("depickle.version/1").key("version").value(DEPICKLE_VERSION).end();
        program.console.out(out);
      } else {
        program.console.out("depickle " DEPICKLE_VERSION "\n");
      }
      return kYes;
    };
  });
}

}  // namespace depickle::cli
