// Describes well-known globals that are not on the closed list.
#pragma once

#include <string_view>

#include "depickle/formats/pickle/graph.h"
#include "depickle/scan/scan.h"

namespace depickle::scan {

struct Risk {
  Grade grade;
  std::string_view effect;  ///< "runs a command"
};

/// Returns what the global does if it is imported or called. Only for messages and grades: is_inert() alone decides
/// whether a global is on the closed list.
Risk risk_of(const pickle::Global& global) noexcept;

}  // namespace depickle::scan
