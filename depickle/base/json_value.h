// Reading JSON.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace depickle {

/// A value of a parsed JSON document. The document is freed with the last of its values. A member that does not exist
/// is an empty value, and every accessor of an empty value, or of a value of another type, returns an empty result.
class JsonValue {
 public:
  struct Limits {
    size_t max_depth = 1024;  ///< nested arrays and objects
    size_t max_values = SIZE_MAX;
  };

  JsonValue() = default;
  /// Throws Error{malformed} if `json` is not one JSON document or is nested too deeply; Error{limit} if it has too
  /// many values.
  static JsonValue parse(std::string_view json, const Limits& limits);
  static JsonValue parse(std::string_view json) { return parse(json, Limits()); }

  /// False for a member that does not exist; true for `null`.
  bool exists() const noexcept { return document_ != nullptr; }
  bool is_null() const noexcept;  ///< `null`; false for a member that does not exist
  bool is_object() const noexcept;
  bool is_array() const noexcept;

  /// Returns the member `key` of an object.
  JsonValue operator[](std::string_view key) const;
  /// Returns the members of an object, in their order. The names are valid while a value of the document exists.
  std::vector<std::pair<std::string_view, JsonValue>> members() const;
  /// Returns the elements of an array.
  std::vector<JsonValue> items() const;

  /// Returns a string.
  std::optional<std::string> text() const;
  /// Returns a string; "" for anything else.
  std::string string() const { return text().value_or(std::string()); }
  /// Returns an integer that fits.
  std::optional<uint64_t> number() const noexcept;
  std::optional<bool> boolean() const noexcept;
  bool is_true() const noexcept { return boolean().value_or(false); }

 private:
  struct Document;
  using Element =
      std::array<std::byte, 16>;  ///< a simdjson::dom::element: its header is included by the .cpp file only

  JsonValue(std::shared_ptr<const Document> document, const Element& element)
      : document_(std::move(document)),
        element_(element) {}

  std::shared_ptr<const Document> document_;
  alignas(8) Element element_{};
};

}  // namespace depickle
