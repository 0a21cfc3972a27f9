#include "depickle/hub/json_value.h"

#include <cstring>
#include <type_traits>

#include <fmt/format.h>
#include <simdjson.h>

#include "depickle/base/error.h"

namespace depickle::hub {

using simdjson::dom::element;
static_assert(sizeof(element) == 16 && std::is_trivially_copyable_v<element>);

struct JsonValue::Document {
  simdjson::dom::parser parser;
};

namespace {

using Raw = std::array<std::byte, 16>;

element unpack(const Raw& raw) noexcept {
  element value;
  std::memcpy(static_cast<void*>(&value), raw.data(), raw.size());
  return value;
}

Raw pack(element value) noexcept {
  Raw raw;
  std::memcpy(raw.data(), &value, raw.size());
  return raw;
}

}  // namespace

JsonValue JsonValue::parse(std::string_view text, const std::string& about) {
  auto document = std::make_shared<Document>();
  element root;
  auto failed = text.empty() ? simdjson::EMPTY : document->parser.parse(text.data(), text.size()).get(root);
  if (failed)
    throw Error(Code::malformed, "", fmt::format("the Hub's answer is not JSON: {}", simdjson::error_message(failed)),
        Where::in(about), "is the endpoint the address of a Hub?");
  JsonValue value;
  value.element_ = pack(root);
  value.document_ = std::move(document);
  return value;
}

bool JsonValue::is_object() const noexcept { return document_ && unpack(element_).is_object(); }
bool JsonValue::is_array() const noexcept { return document_ && unpack(element_).is_array(); }

JsonValue JsonValue::operator[](std::string_view key) const {
  JsonValue value;
  element found;
  if (is_object() && unpack(element_).at_key(key).get(found) == simdjson::SUCCESS) {
    value.document_ = document_;
    value.element_ = pack(found);
  }
  return value;
}

std::vector<JsonValue> JsonValue::items() const {
  std::vector<JsonValue> values;
  if (!is_array()) return values;
  const simdjson::dom::array array(unpack(element_).get_array());
  for (element item : array) {
    JsonValue& value = values.emplace_back();
    value.document_ = document_;
    value.element_ = pack(item);
  }
  return values;
}

std::vector<std::pair<std::string_view, JsonValue>> JsonValue::members() const {
  std::vector<std::pair<std::string_view, JsonValue>> values;
  if (!is_object()) return values;
  const simdjson::dom::object object(unpack(element_).get_object());
  for (auto [key, item] : object) {
    JsonValue& value = values.emplace_back(key, JsonValue()).second;
    value.document_ = document_;
    value.element_ = pack(item);
  }
  return values;
}

std::string_view JsonValue::text() const noexcept {
  std::string_view text;
  const bool is_text = document_ && unpack(element_).get(text) == simdjson::SUCCESS;
  return is_text ? text : std::string_view();
}

std::optional<uint64_t> JsonValue::number() const noexcept {
  uint64_t number = 0;
  if (!document_ || unpack(element_).get(number) != simdjson::SUCCESS) return {};
  return number;
}

bool JsonValue::truth() const noexcept {
  bool truth = false;
  return document_ && unpack(element_).get(truth) == simdjson::SUCCESS && truth;
}

}  // namespace depickle::hub
