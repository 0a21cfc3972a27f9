#include "cli/sandbox.h"

#include <CLI/CLI.hpp>

#include "cli/progress_bar.h"

namespace depickle::cli {

sandbox::SandboxOptions sandbox_options() {
  sandbox::SandboxOptions options;
  // The running file itself, even if it has been replaced under its name.
  options.program = {"/proc/self/exe", kWorkerWord, std::to_string(options.channels)};
  options.check_cancelled = check_interrupted;
#ifdef __SANITIZE_ADDRESS__
  options.environment = {"ASAN_OPTIONS=detect_leaks=0"};  // leak detection needs ptrace(2)
#endif
  return options;
}

void add_sandbox_option(CLI::App& command, Program& program) {
  command.add_flag_callback(
      "--no-sandbox", [&program] { program.sandbox = false; },
      "Parse files in this process, if the kernel has no seccomp");
}

repo::Engine& file_engine(const Program& program) {
  static sandbox::Sandbox sandbox(sandbox_options());
  if (program.sandbox) return sandbox;
  return repo::local_engine();
}

}  // namespace depickle::cli
