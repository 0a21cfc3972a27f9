// Words the hints of errors in terms of the program's options.
#pragma once

#include <string>

#include "depickle/base/error.h"

namespace depickle::cli {

/// Returns the error's hint and the options that help, as one sentence; "" if there are none.
std::string hint(const Error& error);

}  // namespace depickle::cli
