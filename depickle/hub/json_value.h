// JSON from a Hub, read for what is needed of it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace depickle::hub {

/// A value of a document, which lives as long as any of its values. What is missing, null or of another kind reads as
/// empty: callers ask for what they need and say what is missing in their own words.
class JsonValue {
 public:
  JsonValue() = default;
  /// Throws Error{malformed} for what is not JSON.
  static JsonValue parse(std::string_view text, const std::string& about);

  bool is_object() const noexcept;
  bool is_array() const noexcept;
  /// The member of an object.
  JsonValue operator[](std::string_view key) const;
  /// The elements of an array.
  std::vector<JsonValue> items() const;
  /// The members of an object.
  std::vector<std::pair<std::string_view, JsonValue>> members() const;

  std::string_view text() const noexcept;
  std::string string() const { return std::string(text()); }
  std::optional<uint64_t> number() const noexcept;
  /// Whether it is `true`.
  bool truth() const noexcept;

 private:
  struct Document;
  std::shared_ptr<const Document> document_;
  alignas(8) std::array<std::byte, 16> element_{};
};

}  // namespace depickle::hub
