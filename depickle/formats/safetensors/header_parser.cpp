#include "depickle/formats/safetensors/header_parser.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"

namespace depickle::safetensors {
namespace {

constexpr size_t kTypicalEntryBytes = 96;  // of JSON; used to reserve the table

// Consumes `literal` if it is at `at`.
template <size_t size>
bool take(const char*& at, const char* end, const char (&literal)[size]) {
  if (end - at < static_cast<ptrdiff_t>(size - 1) || std::memcmp(at, literal, size - 1) != 0) return false;
  at += size - 1;
  return true;
}

// Returns the value of 8 digits; the first digit is in the lowest byte.
uint64_t eight_digits(uint64_t text) {
  text = (text & 0x0f0f0f0f0f0f0f0f) * (10 * 256 + 1) >> 8;
  text = (text & 0x00ff00ff00ff00ff) * (100 * 65536 + 1) >> 16;
  return (text & 0x0000ffff0000ffff) * ((uint64_t{10000} << 32) + 1) >> 32;
}

// Consumes a number of 1 to 15 digits without a leading 0, eight bytes at a time without a branch for each digit.
// Returns false for other numbers; the general parser reads them.
bool take(const char*& at, const char* end, uint64_t& number) {
  constexpr uint64_t kPowers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
  const char* begin = at;
  uint64_t value = 0;
  for (int round = 0; round < 2; ++round) {
    if (end - at < 8) return false;
    uint64_t text;
    std::memcpy(&text, at, 8);
    // A byte is a digit if its upper half is 3 and is still 3 after adding 6.
    uint64_t others = ((text & 0xf0f0f0f0f0f0f0f0) ^ 0x3030303030303030) |
                      (((text + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) ^ 0x3030303030303030);
    int digits = others == 0 ? 8 : std::countr_zero(others) / 8;
    if (digits > 0) value = value * kPowers[digits] + eight_digits(text << (64 - 8 * digits));
    at += digits;
    if (digits < 8) break;
  }
  number = value;
  auto length = at - begin;
  return length == 1 || (length > 1 && length < 16 && *begin != '0');
}

}  // namespace

HeaderParser::HeaderParser(std::string_view json, Mode mode, Arena& arena)
    : json_(json, 8, {.syntax = "ST05", .depth = "ST06", .range = "ST07"}),
      mode_(mode),
      arena_(arena) {
  entries.reserve(json.size() / kTypicalEntryBytes + 1);
}

void HeaderParser::refuse_if_strict(std::string_view rule, std::string what) const {
  if (mode_ == Mode::strict) json_.fail(rule, std::move(what));
}

void HeaderParser::run() {
  if (json_.at() != json_.end() && *json_.at() != '{') refuse_if_strict("ST18", "the header does not begin with {");
  json_.expect('{', "{");
  if (!json_.take('}')) {
    do {
      if (canonical_entry()) continue;
      std::string_view key = json_.string(scratch_, "a tensor name");
      json_.expect(':', "a colon");
      member(key);
    } while (json_.take(','));
    json_.expect('}', "a comma or }");
  }
  std::string_view rest(json_.at(), static_cast<size_t>(json_.end() - json_.at()));
  if (json_.peek() || json_.at() != json_.end()) json_.fail("ST05", "text follows the header's last }");
  if (rest.find_first_not_of(' ') != rest.npos)
    refuse_if_strict("ST19", "the header is padded with characters other than spaces");
  keep_last_of_each_key();
}

// The fast path: reads exactly `"NAME":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}`. Returns false and consumes
// nothing if the text differs.
bool HeaderParser::canonical_entry() {
  const char *at = json_.at(), *end = json_.end();
  if (!take(at, end, "\"")) return false;
  std::string_view name(at, static_cast<size_t>(plain_end(at, end) - at));
  at += name.size();
  if (!take(at, end, "\":{\"dtype\":\"") || name == kMetadataKey) return false;

  std::string_view dtype(at, static_cast<size_t>(plain_end(at, end) - at));
  at += dtype.size();
  if (!take(at, end, "\",\"shape\":[")) return false;
  shape_.clear();
  if (!take(at, end, "]")) {
    do {
      if (!take(at, end, shape_.emplace_back())) return false;
    } while (take(at, end, ","));
    if (!take(at, end, "]")) return false;
  }

  Entry entry{.name = {}, .shape = {}, .begin = 0, .end = 0, .dtype = last_dtype_value_};
  if (!take(at, end, ",\"data_offsets\":[") || !take(at, end, entry.begin) || !take(at, end, ",") ||
      !take(at, end, entry.end) || !take(at, end, "]}"))
    return false;
  if (dtype != last_dtype_) {
    auto found = find_dtype(dtype);
    if (!found) return false;
    last_dtype_ = dtype;
    last_dtype_value_ = entry.dtype = *found;
  }
  entry.name = arena_.copy(name);
  entry.shape = arena_.copy(std::span<const uint64_t>(shape_));
  entries.push_back(entry);
  json_.move_to(at);
  return true;
}

void HeaderParser::member(std::string_view key) {
  if (key == kMetadataKey) return metadata_value();
  Entry entry{};
  entry.name = arena_.copy(key);
  json_.set_tensor(entry.name);
  entry_value(entry);
  json_.set_tensor({});
  entries.push_back(entry);
}

void HeaderParser::metadata_value() {
  if (std::exchange(metadata_seen_, true)) json_.fail("ST08", "__metadata__ occurs twice");
  if (json_.peek() == 'n') {
    json_.expect_literal("null");
    return refuse_if_strict("ST22", "__metadata__ is null");
  }
  if (json_.peek() != '{') json_.fail("ST08", "__metadata__ is not an object");
  has_metadata = true;
  std::string key_scratch;
  json_.object(2, key_scratch, [&](std::string_view key) {
    if (json_.peek() != '"')
      json_.fail("ST08", fmt::format("the value of {} in __metadata__ is not a string", quoted(key)));
    metadata.emplace_back(key, json_.string(scratch_, "a string"));
  });
}

// Sorting finds repeated keys in O(n log n); a header of 100 MB can contain millions of keys.
void HeaderParser::keep_last_of_each_key() {
  std::vector<uint32_t> by_key(metadata.size());
  std::iota(by_key.begin(), by_key.end(), 0u);
  std::ranges::sort(
      by_key, [&](uint32_t a, uint32_t b) { return std::tie(metadata[a].first, a) < std::tie(metadata[b].first, b); });
  std::vector<bool> dropped(metadata.size());
  bool any = false;
  for (size_t i = 1; i < by_key.size(); ++i) {
    if (metadata[by_key[i - 1]].first != metadata[by_key[i]].first) continue;
    if (mode_ == Mode::strict)
      throw Error(Code::malformed, "ST20",
          fmt::format("__metadata__ contains {} twice", depickle::quoted(metadata[by_key[i]].first)));
    dropped[by_key[i - 1]] = any = true;
  }
  if (!any) return;
  Metadata kept;
  for (size_t i = 0; i < metadata.size(); ++i) {
    if (!dropped[i]) kept.push_back(std::move(metadata[i]));
  }
  metadata = std::move(kept);
}

void HeaderParser::entry_value(Entry& entry) {
  switch (json_.peek()) {
    case '{': return entry_as_object(entry);
    case '[': return entry_as_array(entry);
    default: json_.fail("ST09", "the entry is not an object");
  }
}

void HeaderParser::entry_as_object(Entry& entry) {
  bool has_dtype = false, has_shape = false, has_offsets = false;
  auto once = [&](bool& seen, std::string_view field) {
    if (std::exchange(seen, true)) json_.fail("ST09", fmt::format("{} occurs twice", field));
  };
  json_.object(2, scratch_, [&](std::string_view key) {
    if (key == "dtype") {
      once(has_dtype, "dtype"), dtype_value(entry);
    } else if (key == "shape") {
      once(has_shape, "shape"), shape_value(entry);
    } else if (key == "data_offsets") {
      once(has_offsets, "data_offsets"), data_offsets_value(entry);
    } else {
      refuse_if_strict("ST23", fmt::format("the field {} is not part of the format", quoted(key)));
      json_.skip_value(2);
    }
  });
  if (!has_dtype || !has_shape || !has_offsets)
    json_.fail("ST09", fmt::format("the entry has no {}", !has_dtype   ? "dtype"
                                                          : !has_shape ? "shape"
                                                                       : "data_offsets"));
}

// ["F32", [2, 3], [0, 24]]: the reference's deserializer accepts it; it is not documented.
void HeaderParser::entry_as_array(Entry& entry) {
  refuse_if_strict("ST21", "the entry is an array, not an object");
  int field = 0;
  json_.array(2, [&] {
    switch (field++) {
      case 0: return dtype_value(entry);
      case 1: return shape_value(entry);
      case 2: return data_offsets_value(entry);
      default: json_.fail("ST09", "the entry is an array of more than 3 items");
    }
  });
  if (field < 3) json_.fail("ST09", fmt::format("the entry is an array of {} items (needs 3)", field));
}

void HeaderParser::dtype_value(Entry& entry) {
  std::string scratch;
  json_.peek();
  auto set = [&, at = json_.at()](std::string_view text) {
    auto dtype = find_dtype(text);
    if (!dtype) json_.fail("ST10", fmt::format("unknown dtype {}", quoted(text, 40)), at);
    entry.dtype = *dtype;
  };
  if (json_.peek() == '"') return set(json_.string(scratch, "a dtype"));
  if (json_.peek() != '{') json_.fail("ST10", "dtype is not a string");
  // {"F32": null}: the other form of an enum in the reference's deserializer.
  refuse_if_strict("ST21", "dtype is an object, not a string");
  int members = 0;
  json_.object(3, scratch, [&](std::string_view key) {
    if (++members > 1) json_.fail("ST10", "dtype is an object with more than one member");
    set(key);
    if (json_.peek() != 'n') json_.fail("ST10", "dtype is an object whose member is not null");
    json_.expect_literal("null");
  });
  if (members == 0) json_.fail("ST10", "dtype is an empty object");
}

uint64_t HeaderParser::size_value(std::string_view field) {
  if (char c = json_.peek(); c != '-' && (c < '0' || c > '9'))
    json_.fail("ST11", fmt::format("{} contains a value that is not a number", field));
  const char* at = json_.at();
  JsonCursor::Number number = json_.number();
  if (!number.is_unsigned)
    json_.fail("ST11", fmt::format("{} contains a number that is not an integer from 0 to 2^64 - 1", field), at);
  return number.value;
}

void HeaderParser::shape_value(Entry& entry) {
  if (json_.peek() != '[') json_.fail("ST11", "shape is not an array");
  shape_.clear();
  json_.array(3, [&] { shape_.push_back(size_value("shape")); });
  entry.shape = arena_.copy(std::span<const uint64_t>(shape_));
}

void HeaderParser::data_offsets_value(Entry& entry) {
  if (json_.peek() != '[') json_.fail("ST11", "data_offsets is not an array");
  int count = 0;
  json_.array(3, [&] {
    if (count == 2) json_.fail("ST11", "data_offsets contains more than two numbers");
    (count++ == 0 ? entry.begin : entry.end) = size_value("data_offsets");
  });
  if (count != 2) json_.fail("ST11", fmt::format("data_offsets contains {} numbers (needs 2)", count));
}

}  // namespace depickle::safetensors
