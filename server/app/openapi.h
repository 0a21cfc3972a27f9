// web/openapi.json, as it was when the program was built.
#pragma once

#include <string_view>

namespace depickle::server::app {

std::string_view openapi_json() noexcept;

}  // namespace depickle::server::app
