// std::filesystem calls whose failures are depickle::Error.
#pragma once

#include <filesystem>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "depickle/base/error.h"

namespace depickle::os {

/// Returns the result of `call(error)`, where `call` passes the std::error_code to std::filesystem. Throws
/// Error{not_found, io} with `what`, `path` and the errno if the call fails:
///
///   checked("cannot create the folder", path, [&](std::error_code& error) { fs::create_directories(path, error); });
template <typename Call>
std::invoke_result_t<Call, std::error_code&> checked(
    std::string_view what, const std::filesystem::path& path, Call&& call) {
  std::error_code error;
  if constexpr (std::is_void_v<std::invoke_result_t<Call, std::error_code&>>) {
    call(error);
    if (error) throw system_error(error.value(), what, path);
  } else {
    auto result = call(error);
    if (error) throw system_error(error.value(), what, path);
    return result;
  }
}

}  // namespace depickle::os
