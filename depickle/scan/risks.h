// Describes well-known dangerous globals.
#pragma once

#include <string_view>

#include "depickle/formats/pickle/graph.h"

namespace depickle::scan {

/// Returns the effect of the global ("runs a command"), or "is not known to depickle". Only for messages: is_inert()
/// alone decides whether a global is dangerous.
std::string_view describe_risk(const pickle::Global& global) noexcept;

}  // namespace depickle::scan
