// JSON that a client sent.
#pragma once

#include <string>
#include <string_view>

#include "depickle/base/json_value.h"

namespace depickle::server {

/// Throws Error{malformed} if `text` is not JSON or is nested more than 64 levels deep, and Error{limit} if it has more
/// than 100,000 values.
JsonValue parse_body(std::string_view text);

/// Returns the member `key`. Throws Error{malformed} with its name if it is missing or not a string.
std::string required_text(const JsonValue& value, std::string_view key);

}  // namespace depickle::server
