// Reads JSON that a client sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace depickle::server {

/// One JSON value. A lookup of a missing member returns an empty result, so that a handler needs no checks of its own.
class JsonValue {
 public:
  using Array = std::vector<JsonValue>;
  using Object = std::vector<std::pair<std::string, JsonValue>>;

  /// Throws Error{malformed} if `text` is not JSON or is nested deeper than 64 levels; Error{limit} if it has more than
  /// 100,000 values.
  static JsonValue parse(std::string_view text);

  /// Returns a member of an object; nullptr if this is not an object or has no such member.
  const JsonValue* find(std::string_view key) const;
  /// Return a member as text, bool or number; nullopt if it is missing or has another type.
  std::optional<std::string> text(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<uint64_t> number(std::string_view key) const;
  /// Returns the elements of a member; none if it is not an array.
  const Array& array(std::string_view key) const;
  /// Returns a member as text. Throws Error{malformed} with the key's name if it is missing or has another type.
  std::string required_text(std::string_view key) const;

  const std::string* as_text() const { return std::get_if<std::string>(&value); }

  std::variant<std::nullptr_t, bool, uint64_t, double, std::string, Array, Object> value = nullptr;
};

}  // namespace depickle::server
