// How a reader says that a file breaks a rule. Private to the module.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "depickle/base/error.h"

namespace depickle::torch {

[[noreturn]] inline void broken(std::string_view rule, std::string what) {
  throw Error(Code::malformed, rule, std::move(what));
}

[[noreturn]] inline void broken(std::string_view rule, std::string what, uint64_t offset_bytes) {
  throw Error(Code::malformed, rule, std::move(what), Where::at(offset_bytes));
}

}  // namespace depickle::torch
