// The program's exit codes. `depickle help exit-codes` and docs/guide.md describe them.
#pragma once

#include "depickle/base/error.h"

namespace depickle::cli {

inline constexpr int kYes = 0;
inline constexpr int kNo = 1;
inline constexpr int kCouldNot = 2;
inline constexpr int kNothingToDo = 3;
inline constexpr int kLogin = 4;
inline constexpr int kTemporary = 75;     ///< EX_TEMPFAIL of sysexits.h
inline constexpr int kInterrupted = 130;  ///< 128 + SIGINT, as shells report it

/// Maps an error to its exit code.
int exit_code(Code code) noexcept;

}  // namespace depickle::cli
