#include "depickle/base/json_value.h"

#include <cstring>
#include <new>
#include <type_traits>

#include <fmt/format.h>
#include <simdjson.h>

#include "depickle/base/error.h"

namespace depickle {

using simdjson::dom::element;
static_assert(sizeof(element) == 16 && std::is_trivially_copyable_v<element>);

struct JsonValue::Document {
  simdjson::dom::parser parser;
};

namespace {

using Packed = std::array<std::byte, 16>;

element unpack(const Packed& packed) noexcept {
  element value;
  std::memcpy(static_cast<void*>(&value), packed.data(), packed.size());
  return value;
}

Packed pack(element value) noexcept {
  Packed packed;
  std::memcpy(packed.data(), &value, packed.size());
  return packed;
}

// The depth of the recursion is that of the document, which the parser has limited.
void count_values(element value, size_t& count, size_t max_values) {
  if (++count > max_values) throw Error(Code::limit, "", fmt::format("more than {} JSON values", max_values));
  simdjson::dom::array array;
  simdjson::dom::object object;
  if (value.get(array) == simdjson::SUCCESS) {
    for (element item : array) count_values(item, count, max_values);
  } else if (value.get(object) == simdjson::SUCCESS) {
    for (auto [key, member] : object) count_values(member, count, max_values);
  }
}

}  // namespace

JsonValue JsonValue::parse(std::string_view json, const Limits& limits) {
  const auto document = std::make_shared<Document>();
  element root;
  // simdjson does not accept a null pointer.
  auto failed = json.empty() ? simdjson::EMPTY : document->parser.allocate(json.size(), limits.max_depth);
  if (!failed) failed = document->parser.parse(json.data(), json.size()).get(root);
  if (failed == simdjson::MEMALLOC) throw std::bad_alloc();
  if (failed) throw Error(Code::malformed, "", fmt::format("not JSON: {}", simdjson::error_message(failed)));
  size_t count = 0;
  if (limits.max_values != SIZE_MAX) count_values(root, count, limits.max_values);
  return {document, pack(root)};
}

bool JsonValue::is_null() const noexcept { return document_ && unpack(element_).is_null(); }
bool JsonValue::is_object() const noexcept { return document_ && unpack(element_).is_object(); }
bool JsonValue::is_array() const noexcept { return document_ && unpack(element_).is_array(); }

JsonValue JsonValue::operator[](std::string_view key) const {
  element found;
  if (!is_object() || unpack(element_).at_key(key).get(found) != simdjson::SUCCESS) return {};
  return {document_, pack(found)};
}

std::vector<std::pair<std::string_view, JsonValue>> JsonValue::members() const {
  std::vector<std::pair<std::string_view, JsonValue>> values;
  simdjson::dom::object object;
  if (!document_ || unpack(element_).get(object) != simdjson::SUCCESS) return values;
  for (auto [key, member] : object) values.emplace_back(key, JsonValue(document_, pack(member)));
  return values;
}

std::vector<JsonValue> JsonValue::items() const {
  std::vector<JsonValue> values;
  simdjson::dom::array array;
  if (!document_ || unpack(element_).get(array) != simdjson::SUCCESS) return values;
  for (element item : array) values.push_back(JsonValue(document_, pack(item)));
  return values;
}

std::optional<std::string> JsonValue::text() const {
  std::string_view text;
  if (!document_ || unpack(element_).get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

std::optional<uint64_t> JsonValue::number() const noexcept {
  uint64_t number = 0;
  if (!document_ || unpack(element_).get(number) != simdjson::SUCCESS) return {};
  return number;
}

std::optional<bool> JsonValue::boolean() const noexcept {
  bool value = false;
  if (!document_ || unpack(element_).get(value) != simdjson::SUCCESS) return {};
  return value;
}

}  // namespace depickle
