#include "cli/sandbox.h"

#include "cli/progress_bar.h"

namespace depickle::cli {

sandbox::SandboxOptions sandbox_options() {
  sandbox::SandboxOptions options;
  // The very file that runs, although another may have its name by now.
  options.program = {"/proc/self/exe", kWorkerWord, std::to_string(options.channels)};
  options.check_cancelled = check_interrupted;
#ifdef __SANITIZE_ADDRESS__
  options.environment = {"ASAN_OPTIONS=detect_leaks=0"};  // looking for leaks takes ptrace(2)
#endif
  return options;
}

}  // namespace depickle::cli
