// The error that a call throws.
#pragma once

#include <string>

#include "depickle/base/error.h"

namespace depickle {

/// Returns the Error that `action` throws; if it does not throw, an Error with the rule "accepted".
template <typename Action>
Error error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::io, "accepted", "accepted");
}

/// Returns the text of the Error that `action` throws, or "[accepted] accepted".
template <typename Action>
std::string refusal(Action&& action) {
  return error_of(action).what();
}

}  // namespace depickle
