#include "cli/sandbox.h"

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

}  // namespace depickle::cli
