#include "cli/sandbox.h"

#include <filesystem>

namespace depickle::cli {

worker::SandboxOptions sandbox_options() {
  worker::SandboxOptions options;
  options.program = {std::filesystem::read_symlink("/proc/self/exe"), kWorkerWord, std::to_string(options.channels)};
#ifdef __SANITIZE_ADDRESS__
  options.environment = {"ASAN_OPTIONS=detect_leaks=0"};  // looking for leaks takes ptrace(2)
#endif
  return options;
}

}  // namespace depickle::cli
