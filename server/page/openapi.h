// web/openapi.json, as it was when the program was built.
#pragma once

#include <string_view>

namespace depickle::server::page {

std::string_view openapi_json() noexcept;

}  // namespace depickle::server::page
