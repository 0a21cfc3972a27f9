// `depickle-server`: the program with the server.
#include "cli/application.h"

int main(int count, char** words) {
  return depickle::cli::run_application(count, words, [](CLI::App& app, depickle::cli::Program& program) {
    depickle::cli::add_serve(app, program);
    depickle::cli::add_user(app, program);
    depickle::cli::add_hub(app, program);
  });
}
