// The closed list of globals that only build tensors, numpy arrays and plain containers.
#pragma once

#include "depickle/formats/pickle/graph.h"

namespace depickle::scan {

/// Returns whether the global is on the closed list. Everything else may run code.
bool is_inert(const pickle::Global& global) noexcept;

}  // namespace depickle::scan
