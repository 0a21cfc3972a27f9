// web/openapi.json, embedded in the program.
#pragma once

#include <string_view>

namespace depickle::server::page {

std::string_view openapi_json() noexcept;

}  // namespace depickle::server::page
