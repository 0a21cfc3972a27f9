// Runs the library for the Python tests. Reads one request per line of stdin, writes one JSON line for each:
//
//   safetensors_verdict reference|strict
//     path → {"accept", "metadata", "tensors": [{"name", "dtype", "shape", "sha256"}]}
//   safetensors_verdict write
//     {"target", "metadata", "align", "tensors": [{"name", "dtype", "shape", "hex"}]} → {"accept"}
//   safetensors_verdict slice
//     {"path", "name", "index": [1, [start, stop, step], "..."]} → {"accept", "shape", "hex", "ranges"}
//
// An error is {"accept": false, "error", "rule", "hint"}.
#include <deque>
#include <iostream>
#include <string>
#include <vector>

#include <simdjson.h>

#include "depickle/base/error.h"
#include "depickle/base/json.h"
#include "depickle/base/sha256.h"
#include "depickle/formats/safetensors/slice.h"
#include "depickle/os/mapped_file.h"
#include "tests/formats/safetensors/files.h"

namespace {

using namespace depickle;
using namespace depickle::safetensors;
namespace dom = simdjson::dom;

constexpr uint64_t kMaxHashedBytes = 16 << 20;  // larger tensors of the tests are holes in sparse files, not hashed

void write_shape(JsonWriter& json, std::span<const uint64_t> shape) {
  json.key("shape").array();
  for (uint64_t dimension : shape) json.value(dimension);
  json.end();
}

void write_table(JsonWriter& json, const std::string& path, Mode mode) {
  const auto file = os::MappedFile::open(path);
  const Header header = Header::read(*file, mode);
  json.key("accept").value(true).key("metadata");
  if (header.has_metadata()) {
    json.object();
    for (const auto& [key, value] : header.metadata()) json.key(key).value(value);
    json.end();
  } else {
    json.null();
  }
  json.key("tensors").array();
  for (const Entry& entry : header.entries()) {
    json.object().key("name").value(entry.name).key("dtype").value(name(entry.dtype));
    write_shape(json, entry.shape);
    json.key("sha256");
    if (entry.size_bytes() > kMaxHashedBytes)
      json.null().end();
    else
      json.value(sha256_hex(content_of(*file, header, entry))).end();
    if (header.find(entry.name) != &entry) throw std::logic_error("find() does not return the entry");
  }
  json.end();
}

std::string from_hex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

std::string to_hex(Bytes bytes) {
  std::string out;
  for (std::byte byte : bytes) {
    out += "0123456789abcdef"[static_cast<int>(byte) >> 4];
    out += "0123456789abcdef"[static_cast<int>(byte) & 15];
  }
  return out;
}

void write_file(JsonWriter& json, dom::element request) {
  std::optional<Metadata> metadata;
  if (dom::object members; request["metadata"].get(members) == simdjson::SUCCESS) {
    metadata.emplace();
    for (auto [key, value] : members) metadata->emplace_back(key, std::string_view(value));
  }
  std::deque<std::string> contents;
  std::deque<std::vector<uint64_t>> shapes;
  std::vector<TensorContent> tensors;
  for (dom::element tensor : dom::array(request["tensors"])) {
    contents.push_back(from_hex(tensor["hex"]));
    for (uint64_t dimension : dom::array(tensor["shape"]))
      shapes.resize(contents.size()), shapes.back().push_back(dimension);
    shapes.resize(contents.size());
    tensors.push_back({{tensor["name"], find_dtype(tensor["dtype"]).value(), shapes.back()}, bytes(contents.back())});
  }
  save(std::string(std::string_view(request["target"])), tensors, metadata, os::IfExists::replace, request["align"]);
  json.key("accept").value(true);
}

IndexItem index_item(dom::element item) {
  if (item.is_string()) return Ellipsis{};
  if (item.is_int64()) return int64_t(item);
  auto bound = [&](size_t i) {
    return item.at(i).is_null() ? std::nullopt : std::optional<int64_t>(int64_t(item.at(i)));
  };
  return Range{bound(0), bound(1), bound(2).value_or(1)};
}

void slice(JsonWriter& json, dom::element request) {
  const auto file = os::MappedFile::open(std::string(std::string_view(request["path"])));
  const Header header = Header::read(*file);
  const Entry* entry = header.find(request["name"]);
  std::vector<IndexItem> items;
  for (dom::element item : dom::array(request["index"])) items.push_back(index_item(item));
  Slice slice = Slice::of(entry->dtype, entry->shape, items);
  std::vector<std::byte> out(slice.size_bytes());
  slice.read(content_of(*file, header, *entry), out);
  json.key("accept").value(true);
  write_shape(json, slice.shape());
  json.key("hex").value(to_hex(out)).key("ranges").array();
  for (auto ranges = slice.ranges(); auto range = ranges.next();)
    json.array().value(range->begin).value(range->end).end();
  json.end();
}

void answer(JsonWriter& json, const std::string& mode, const std::string& line) {
  if (mode == "reference" || mode == "strict")
    return write_table(json, line, mode == "strict" ? Mode::strict : Mode::reference);
  dom::parser parser;
  dom::element request = parser.parse(line);
  mode == "write" ? write_file(json, request) : slice(json, request);
}

}  // namespace

int main(int count, char** arguments) {
  const std::string mode = count > 1 ? arguments[1] : "reference";
  for (std::string line; std::getline(std::cin, line);) {
    std::string out;
    try {
      JsonWriter json(out, JsonWriter::Style::compact);
      json.object();
      answer(json, mode, line);
      json.end();
    } catch (const Error& error) {
      out.clear();
      JsonWriter json(out, JsonWriter::Style::compact);
      json.object()
          .key("accept")
          .value(false)
          .key("error")
          .value(error.what())
          .key("rule")
          .value(error.rule())
          .key("hint")
          .value(error.hint())
          .end();
    }
    std::cout << out << '\n';
  }
}
