// What the program's exit codes mean; the README and --help say the same.
#pragma once

#include "depickle/base/error.h"

namespace depickle::cli {

inline constexpr int kYes = 0;            ///< done, and the answer is yes
inline constexpr int kNo = 1;             ///< done, and the answer is no: different, has code, refused by policy
inline constexpr int kCouldNot = 2;       ///< it could not be done, or the command line is wrong
inline constexpr int kNothingToDo = 3;    ///< already safetensors
inline constexpr int kLogin = 4;          ///< a login or a gate is in the way
inline constexpr int kTemporary = 75;     ///< try again
inline constexpr int kInterrupted = 130;  ///< Ctrl-C

/// The one table from errors to exit codes.
int exit_code(Code code) noexcept;

}  // namespace depickle::cli
