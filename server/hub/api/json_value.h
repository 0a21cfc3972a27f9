// JSON that a client sent, as a value to look into.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace depickle::server::api {

/// One JSON value. Looking for what is not there gives "nothing", so that a handler reads as a list of what it wants.
class JsonValue {
 public:
  using Array = std::vector<JsonValue>;
  using Object = std::vector<std::pair<std::string, JsonValue>>;

  /// Throws Error{malformed} for what is not JSON, or nests deeper than 64 levels; {limit} for more values than any client sends.
  static JsonValue parse(std::string_view text);

  /// A member of an object; null where this is no object or has no such member.
  const JsonValue* find(std::string_view key) const;
  /// The member as text, truth or number; empty where it is missing or of another kind.
  std::optional<std::string> text(std::string_view key) const;
  std::optional<bool> truth(std::string_view key) const;
  std::optional<uint64_t> number(std::string_view key) const;
  /// The member's elements; empty where it is no array.
  const Array& array(std::string_view key) const;
  /// The member as text; throws http's 400 with the key's name where it is none.
  std::string needed_text(std::string_view key) const;

  const std::string* as_text() const { return std::get_if<std::string>(&value); }

  std::variant<std::nullptr_t, bool, uint64_t, double, std::string, Array, Object> value = nullptr;
};

}  // namespace depickle::server::api
