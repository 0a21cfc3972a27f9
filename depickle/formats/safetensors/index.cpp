#include "depickle/formats/safetensors/index.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "depickle/base/error.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/describe.h"
#include "depickle/formats/safetensors/json_cursor.h"
#include "depickle/formats/safetensors/tensor_error.h"
#include "depickle/os/mapped_file.h"

namespace depickle::safetensors {
namespace {

// Whether `path` is a normalized relative path below the folder, without control characters and backslashes.
bool is_plain_path(std::string_view path) {
  if (path.empty() ||
      std::ranges::any_of(path, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\'; }))
    return false;
  while (true) {
    size_t slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
  }
}

// Keeps weight_map and metadata; everything else is checked as JSON only.
class IndexParser {
 public:
  explicit IndexParser(std::string_view json) : json_(json, 0, {.syntax = "SX01", .depth = "SX01", .range = "SX01"}) {}

  void run() {
    bool has_metadata = false, has_weight_map = false;
    json_.object(1, scratch_, [&](std::string_view key) {
      if (key == "metadata") {
        once(has_metadata, key), read_metadata();
      } else if (key == "weight_map") {
        once(has_weight_map, key), read_weight_map();
      } else {
        json_.skip_value(1);
      }
    });
    if (json_.peek() || json_.at() != json_.end()) json_.fail("SX01", "text follows the last }");
    if (!has_weight_map) json_.fail("SX02", "weight_map is missing");
  }

  Index::WeightMap weight_map;
  Index::Metadata metadata;
  std::optional<uint64_t> total_size_bytes;

 private:
  void once(bool& seen, std::string_view key) {
    if (std::exchange(seen, true)) json_.fail("SX02", fmt::format("{} occurs twice", key));
  }

  // Every known writer writes an object; any other value is ignored.
  void read_metadata() {
    if (json_.peek() != '{') return json_.skip_value(1);
    std::string key_scratch;
    json_.object(2, key_scratch, [&](std::string_view key) {
      json_.peek();
      const char* begin = json_.at();
      bool is_number = begin != json_.end() && *begin >= '0' && *begin <= '9';
      if (key == "total_size" && is_number) {
        if (JsonCursor::Number number = json_.number(); number.is_unsigned) total_size_bytes = number.value;
      } else {
        json_.skip_value(2);
        metadata.emplace_back(key, std::string(begin, json_.at()));
      }
    });
  }

  void read_weight_map() {
    if (json_.peek() != '{') json_.fail("SX02", "weight_map is not an object");
    std::string key_scratch;
    json_.object(2, key_scratch, [&](std::string_view key) {
      if (json_.peek() != '"')
        json_.fail("SX02", fmt::format("the value of {} in weight_map is not a string", quoted(key)));
      weight_map.emplace_back(key, json_.string(scratch_, "a file name"));
    });
  }

  JsonCursor json_;
  std::string scratch_;
};

}  // namespace

void Index::check() {
  names_ = NameTable(
      static_cast<uint32_t>(weight_map_.size()), [&](uint32_t i) { return std::string_view(weight_map_[i].first); });
  if (names_.repeated() != NameTable::kNone)
    throw tensor_error("SX02", "weight_map contains the tensor twice", weight_map_[names_.repeated()].first);
  std::set<std::string_view> seen;
  for (const auto& [name, shard] : weight_map_) {
    if (!seen.insert(shard).second) continue;
    if (!is_plain_path(shard))
      throw tensor_error("SX03",
          fmt::format("the shard {} is not a plain relative path below the index's folder", depickle::quoted(shard)),
          name);
    shards_.push_back(shard);
  }
}

Index Index::parse(std::string_view json) {
  if (!simdjson::validate_utf8(json)) throw Error(Code::malformed, "SX01", "the index is not UTF-8");
  IndexParser parser(json);
  parser.run();
  Index index;
  index.weight_map_ = std::move(parser.weight_map);
  index.total_size_bytes_ = parser.total_size_bytes;
  index.metadata_ = std::move(parser.metadata);
  index.check();
  return index;
}

Index Index::read(const std::filesystem::path& path) { return read(*os::MappedFile::open(path)); }

Index Index::read(const ByteSource& file) {
  try {
    return parse(text(file.all()));
  } catch (const Error& error) {
    if (auto other = detect::describe(file))
      throw Error(
          Code::malformed, error.rule(), "not a shard index: " + other->what, Where::in(file.name()), other->hint);
    throw error.in(file.name());
  }
}

Index Index::of(WeightMap weight_map, uint64_t total_size_bytes, Metadata metadata) {
  Index index;
  index.weight_map_ = std::move(weight_map);
  index.total_size_bytes_ = total_size_bytes;
  index.metadata_ = std::move(metadata);
  index.check();
  return index;
}

const std::string* Index::find(std::string_view name) const noexcept {
  uint32_t number = names_.find(name, [&](uint32_t i) { return std::string_view(weight_map_[i].first); });
  return number == NameTable::kNone ? nullptr : &weight_map_[number].second;
}

std::string Index::to_json() const {
  std::string out;
  bool first = true;
  auto open = [&](std::string_view text) { out += text, first = true; };
  auto key = [&](std::string_view name) {
    out += std::exchange(first, false) ? "\n    " : ",\n    ";
    append_json_string(out, name);
    out += ": ";
  };
  auto close = [&] { out += first ? "}" : "\n  }"; };

  std::map<std::string_view, std::string> metadata(metadata_.begin(), metadata_.end());
  if (total_size_bytes_) metadata["total_size"] = std::to_string(*total_size_bytes_);
  open("{\n  \"metadata\": {");
  for (const auto& [name, raw] : metadata) key(name), out += raw;
  close();

  std::map<std::string_view, std::string_view> weight_map(weight_map_.begin(), weight_map_.end());
  open(",\n  \"weight_map\": {");
  for (const auto& [name, shard] : weight_map) key(name), append_json_string(out, shard);
  close();
  return out += "\n}\n";
}

}  // namespace depickle::safetensors
