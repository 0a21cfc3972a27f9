// What well-known dangerous globals do.
#pragma once

#include <string_view>

#include "depickle/formats/pickle/graph.h"

namespace depickle::scan {

/// Returns what the global does, in words ("runs a command"); "is not known to depickle" if it is not a well-known one.
/// Only for messages: is_inert() alone decides whether a global is dangerous.
std::string_view describe_risk(const pickle::Global& global) noexcept;

}  // namespace depickle::scan
