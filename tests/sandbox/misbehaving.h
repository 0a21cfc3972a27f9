// A sandbox whose worker misbehaves as its input says.
#pragma once

#include <string>

#include "depickle/sandbox/sandbox.h"

namespace depickle::sandbox {

inline SandboxOptions misbehaving() {
  SandboxOptions options;
  options.program = {MISBEHAVING_WORKER, std::to_string(options.channels)};
#ifdef __SANITIZE_ADDRESS__
  options.environment = {"ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0:handle_segv=0"};
#endif
  return options;
}

}  // namespace depickle::sandbox
