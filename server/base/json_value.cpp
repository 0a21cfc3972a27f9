#include "server/base/json_value.h"

#include <simdjson.h>

#include <algorithm>

#include "depickle/base/error.h"

namespace depickle::server {
namespace {

// Bounds the memory: two bytes of a body can become a value of 40 bytes. Clients send far fewer values.
constexpr size_t kMaxValues = 100'000;

JsonValue converted(simdjson::dom::element element, size_t& count) {
  using simdjson::dom::element_type;
  if (++count > kMaxValues) throw Error(Code::limit, "", "the body has too many JSON values (need at most 100000)");
  JsonValue out;
  switch (element.type()) {
    case element_type::OBJECT: {
      JsonValue::Object members;
      for (auto [key, value] : simdjson::dom::object(element)) members.emplace_back(key, converted(value, count));
      out.value = std::move(members);
      break;
    }
    case element_type::ARRAY: {
      JsonValue::Array items;
      for (auto item : simdjson::dom::array(element)) items.push_back(converted(item, count));
      out.value = std::move(items);
      break;
    }
    case element_type::STRING: out.value = std::string(std::string_view(element)); break;
    case element_type::BOOL: out.value = bool(element); break;
    case element_type::INT64:
      if (int64_t(element) >= 0)
        out.value = static_cast<uint64_t>(int64_t(element));
      else
        out.value = static_cast<double>(int64_t(element));
      break;
    case element_type::UINT64: out.value = uint64_t(element); break;
    case element_type::DOUBLE: out.value = double(element); break;
    default: break;
  }
  return out;
}

template <typename T>
std::optional<T> member(const JsonValue& in, std::string_view key) {
  const JsonValue* found = in.find(key);
  const T* value = found ? std::get_if<T>(&found->value) : nullptr;
  return value ? std::optional<T>(*value) : std::nullopt;
}

}  // namespace

JsonValue JsonValue::parse(std::string_view text) {
  try {
    simdjson::dom::parser parser;
    if (parser.allocate(std::max<size_t>(text.size(), 64), 64) != simdjson::SUCCESS) throw std::bad_alloc();
    simdjson::padded_string padded(text);
    size_t count = 0;
    return converted(parser.parse(padded), count);
  } catch (const simdjson::simdjson_error& problem) {
    throw Error(Code::malformed, "", std::string("the body is not JSON: ") + problem.what());
  }
}

const JsonValue* JsonValue::find(std::string_view key) const {
  if (auto* members = std::get_if<Object>(&value))
    for (const auto& [name, member] : *members)
      if (name == key) return &member;
  return nullptr;
}

std::optional<std::string> JsonValue::text(std::string_view key) const { return member<std::string>(*this, key); }
std::optional<bool> JsonValue::boolean(std::string_view key) const { return member<bool>(*this, key); }
std::optional<uint64_t> JsonValue::number(std::string_view key) const { return member<uint64_t>(*this, key); }

const JsonValue::Array& JsonValue::array(std::string_view key) const {
  static const Array kNone;
  const JsonValue* found = find(key);
  auto* items = found ? std::get_if<Array>(&found->value) : nullptr;
  return items ? *items : kNone;
}

std::string JsonValue::required_text(std::string_view key) const {
  auto found = text(key);
  if (!found) throw Error(Code::malformed, "", "the body has no string \"" + std::string(key) + "\"");
  return *found;
}

}  // namespace depickle::server
