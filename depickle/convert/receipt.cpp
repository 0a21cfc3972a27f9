#include "depickle/convert/receipt.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/json_value.h"
#include "depickle/base/tensor.h"
#include "depickle/base/text.h"
#include "depickle/os/mapped_file.h"

namespace depickle::convert {
namespace {

constexpr uint64_t kMaxReceiptBytes = uint64_t{1} << 30;

[[noreturn]] void fail(std::string what) { throw Error(Code::malformed, "", "not a receipt: " + std::move(what)); }

template <typename Value>
Value require(std::optional<Value> value, std::string_view key) {
  if (!value) fail(fmt::format("\"{}\" is missing or has the wrong type", key));
  return *std::move(value);
}

std::string text_of(const JsonValue& parent, std::string_view key) { return require(parent[key].text(), key); }
uint64_t number_of(const JsonValue& parent, std::string_view key) { return require(parent[key].number(), key); }

JsonValue object_of(const JsonValue& parent, std::string_view key) {
  JsonValue member = parent[key];
  return require(member.is_object() ? std::optional(std::move(member)) : std::nullopt, key);
}

std::vector<JsonValue> items_of(const JsonValue& parent, std::string_view key) {
  const JsonValue member = parent[key];
  return require(member.is_array() ? std::optional(member.items()) : std::nullopt, key);
}

// Parses each object in the array `key`.
template <typename Value, typename ParseOne>
std::vector<Value> list_of(const JsonValue& parent, std::string_view key, ParseOne parse_one) {
  std::vector<Value> values;
  for (const JsonValue& item : items_of(parent, key)) {
    if (!item.is_object()) fail(fmt::format("\"{}\" contains a value that is not an object", key));
    values.push_back(parse_one(item));
  }
  return values;
}

std::string digest_of(const JsonValue& parent) {
  std::string digest = text_of(parent, "sha256");
  auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (digest.size() != 64 || !std::ranges::all_of(digest, is_digit))
    fail(fmt::format("\"sha256\" is {}, not 64 hexadecimal digits", quoted(digest, 80)));
  return digest;
}

DigestedFile file_of(const JsonValue& parent) {
  return {text_of(parent, "file"), number_of(parent, "bytes"), digest_of(parent)};
}

DigestedTensor tensor_of(const JsonValue& parent) {
  std::string name = text_of(parent, "name"), dtype_name = text_of(parent, "dtype");
  std::optional<Dtype> dtype = find_dtype(dtype_name);
  if (!dtype) fail(fmt::format("tensor {} has the unknown dtype {}", quoted(name), quoted(dtype_name)));
  std::vector<uint64_t> shape;
  for (const JsonValue& item : items_of(parent, "shape")) {
    const std::optional<uint64_t> size = item.number();
    if (!size) fail(fmt::format("the shape of tensor {} contains a value that is not a size", quoted(name)));
    shape.push_back(*size);
  }
  const uint64_t size_bytes = number_of(parent, "bytes");
  if (tensor_bytes(*dtype, shape) != size_bytes)
    fail(fmt::format("the size of tensor {} does not match its shape ({} bytes)", quoted(name), size_bytes));
  return {std::move(name), *dtype, std::move(shape), size_bytes, digest_of(parent)};
}

Conversion conversion_of(const JsonValue& parent) {
  Conversion conversion;
  conversion.sources = list_of<DigestedFile>(parent, "sources", file_of);
  conversion.target = file_of(object_of(parent, "target"));
  conversion.container = text_of(parent, "container");
  conversion.root = text_of(parent, "root");
  conversion.tensors = list_of<DigestedTensor>(parent, "tensors", tensor_of);
  conversion.aliases = list_of<Tied>(
      parent, "aliases", [](const JsonValue& one) { return Tied{text_of(one, "name"), text_of(one, "kept")}; });
  conversion.unused = list_of<Unused>(parent, "leftovers",
      [](const JsonValue& one) { return Unused{text_of(one, "path"), text_of(one, "description")}; });
  conversion.unsupported = list_of<Unsupported>(
      parent, "skipped", [](const JsonValue& one) { return Unsupported{text_of(one, "name"), text_of(one, "what")}; });
  return conversion;
}

JsonValue parse_object(std::string_view json) {
  if (json.empty()) fail("the file is empty");
  try {
    JsonValue root = JsonValue::parse(json);
    if (root.is_object()) return root;
  } catch (const Error& error) {
    fail(error.message());
  }
  fail("not a JSON object");
}

void check_schema(const JsonValue& root) {
  std::string schema = text_of(root, "schema");
  if (schema == kReceiptSchema) return;
  if (schema.starts_with("depickle.receipt/")) {
    throw Error(Code::unsupported, "",
        fmt::format("receipt schema {} is not supported (supported: {})", quoted(schema, 40), kReceiptSchema), {},
        "use a newer version of depickle");
  }
  fail(fmt::format("its schema is {}, expected \"{}\"", quoted(schema, 40), kReceiptSchema));
}

}  // namespace

Receipt parse_receipt(std::string_view json) {
  if (json.size() > kMaxReceiptBytes)
    throw Error(
        Code::limit, "", fmt::format("the receipt is too large ({} bytes, limit {})", json.size(), kMaxReceiptBytes));
  const JsonValue root = parse_object(json);
  check_schema(root);
  Receipt receipt;
  receipt.version = text_of(object_of(root, "tool"), "version");
  receipt.conversions = list_of<Conversion>(root, "conversions", conversion_of);
  receipt.indexes = list_of<DigestedFile>(root, "indexes", file_of);
  return receipt;
}

Receipt read_receipt(const std::filesystem::path& path) {
  auto file = os::MappedFile::open(path);
  try {
    return parse_receipt(text(file->all()));
  } catch (const Error& error) {
    throw error.in(path);
  }
}

}  // namespace depickle::convert
