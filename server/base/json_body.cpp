#include "server/base/json_body.h"

#include "depickle/base/error.h"

namespace depickle::server {

JsonValue parse_body(std::string_view text) {
  // A value takes up to 48 bytes of memory and may be two bytes of the body.
  constexpr JsonValue::Limits kLimits{.max_depth = 64, .max_values = 100'000};
  try {
    return JsonValue::parse(text, kLimits);
  } catch (const Error& error) {
    throw Error(error.code(), "", (error.code() == Code::limit ? "the body has " : "the body is ") + error.message());
  }
}

std::string required_text(const JsonValue& value, std::string_view key) {
  std::optional<std::string> text = value[key].text();
  if (!text) throw Error(Code::malformed, "", "the body has no text \"" + std::string(key) + "\"");
  return *std::move(text);
}

}  // namespace depickle::server
