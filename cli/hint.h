// The program's hints: what to do about an error, in terms of its own options.
#pragma once

#include <string>

#include "depickle/base/error.h"

namespace depickle::cli {

/// Returns the error's hint together with the options that help, as one sentence; "" if there is nothing to say.
std::string hint(const Error& error);

}  // namespace depickle::cli
