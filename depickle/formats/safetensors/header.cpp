#include "depickle/formats/safetensors/header.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <simdjson.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/describe.h"
#include "depickle/formats/safetensors/header_parser.h"
#include "depickle/formats/safetensors/size_rules.h"
#include "depickle/formats/safetensors/tensor_error.h"

namespace depickle::safetensors {
namespace {

void check_header_bytes(uint64_t header_bytes) {
  if (header_bytes > kMaxHeaderBytes)
    throw Error(Code::limit, "ST02",
        fmt::format("the header is too large (has {} bytes, the limit is {})", grouped(header_bytes),
            grouped(kMaxHeaderBytes)));
}

void check_utf8(std::string_view json) {
  if (simdjson::validate_utf8(json)) return;
  uint64_t offset = kLengthBytes;
  while (size_t length = utf8_sequence(json)) json.remove_prefix(length), offset += length;
  throw Error(Code::malformed, "ST04", "the header is not UTF-8", Where::at(offset));
}

// Few writers list tensors out of order. Entries are large, so their places are sorted instead.
void sort_by_place(Entries& entries) {
  auto place_of = [](const Entry& entry) { return std::pair(entry.begin, entry.end); };
  if (std::ranges::is_sorted(entries, {}, place_of)) return;
  std::vector<std::tuple<uint64_t, uint64_t, uint32_t>> places;
  places.reserve(entries.size());
  for (const Entry& entry : entries) places.emplace_back(entry.begin, entry.end, static_cast<uint32_t>(places.size()));
  std::ranges::sort(places);
  Entries sorted;
  sorted.reserve(entries.size());
  for (const auto& [begin, end, number] : places) sorted.push_back(entries[number]);
  entries = std::move(sorted);
}

// ST12. Returns the table for finding tensors by name.
NameTable check_names(std::span<const Entry> entries) {
  NameTable names(static_cast<uint32_t>(entries.size()), [&](uint32_t i) { return entries[i].name; });
  if (names.repeated() != NameTable::kNone)
    throw tensor_error("ST12", "the name occurs twice in the header", entries[names.repeated()].name);
  return names;
}

// ST13 to ST17: the sorted entries cover a data section of `data_bytes`, each with the size of its dtype and shape.
void check_places(std::span<const Entry> entries, uint64_t data_bytes) {
  uint64_t next = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != next)
      throw tensor_error("ST15",
          fmt::format("data_offsets begin at {}, the previous tensor ends at {}", entry.begin, next), entry.name);
    if (entry.end < entry.begin)
      throw tensor_error(
          "ST15", fmt::format("data_offsets [{}, {}] end before they begin", entry.begin, entry.end), entry.name);
    if (uint64_t need = checked_tensor_bytes(entry.dtype, entry.shape, entry.name); need != entry.size_bytes())
      throw tensor_error("ST16",
          fmt::format("data_offsets span {} bytes, but shape {} of {} needs {}", entry.size_bytes(),
              shape_text(entry.shape), name(entry.dtype), need),
          entry.name);
    next = entry.end;
  }
  if (next > data_bytes)
    throw Error(Code::truncated, "ST17",
        fmt::format("the file ends too early (its data section has {} bytes, the tensors need {})", grouped(data_bytes),
            grouped(next)));
  if (next < data_bytes)
    throw Error(Code::malformed, "ST17",
        fmt::format("{} {} the last tensor (the data section has {}, the tensors need {})",
            plural(data_bytes - next, "byte"), data_bytes - next == 1 ? "follows" : "follow", grouped(data_bytes),
            grouped(next)));
}

Header read_header(const ByteSource& file, Mode mode) {
  uint64_t file_bytes = file.size_bytes();
  if (file_bytes < kLengthBytes)
    throw Error(Code::truncated, "ST01",
        fmt::format("the file is too short to be safetensors (has {}, needs 8)", plural(file_bytes, "byte")));
  auto header_bytes = load<uint64_t>(file.view(0, kLengthBytes), 0);
  check_header_bytes(header_bytes);
  uint64_t rest_bytes = file_bytes - kLengthBytes;
  if (header_bytes > rest_bytes)
    throw Error(Code::truncated, "ST03",
        fmt::format("the header is longer than the file (the file has {} bytes, length and header need {})",
            grouped(file_bytes), grouped(kLengthBytes + header_bytes)));
  return Header::parse(file.view(kLengthBytes, header_bytes), rest_bytes - header_bytes, mode);
}

// Whether a file begins with a length within the limit and a JSON object. A length can equal another format's magic
// number (640 is 80 02, the start of a pickle of protocol 2).
bool begins_like_safetensors(Bytes start) {
  if (start.size() <= kLengthBytes || load<uint64_t>(start, 0) > kMaxHeaderBytes) return false;
  const std::string_view json = text(start.subspan(kLengthBytes));
  const size_t first = json.find_first_not_of(" \t\r\n");
  return first != json.npos && json[first] == '{';
}

// Returns `error` with the file's name, and with the file's format if it is not safetensors.
Error explained(const Error& error, const ByteSource& file) {
  const Bytes start = file.view(0, std::min<uint64_t>(file.size_bytes(), 1024));
  if (auto other = begins_like_safetensors(start) ? std::nullopt : detect::describe(file))
    return Error(
        Code::malformed, error.rule(), "not a safetensors file: " + other->what, Where::in(file.name()), other->hint);
  if (error.code() == Code::truncated && error.hint().empty())
    return error.in(file.name()).with_hint("the download may be incomplete: fetch the file again");
  return error.in(file.name());
}

}  // namespace

Header Header::parse(Bytes json, uint64_t data_bytes, Mode mode) {
  check_header_bytes(json.size());
  check_utf8(text(json));
  Header header;
  HeaderParser parser(text(json), mode, header.arena_);
  parser.run();
  sort_by_place(parser.entries);
  header.names_ = check_names(parser.entries);
  check_places(parser.entries, data_bytes);
  header.entries_ = std::move(parser.entries);
  header.metadata_ = std::move(parser.metadata);
  header.has_metadata_ = parser.has_metadata;
  header.data_begin_ = kLengthBytes + json.size();
  return header;
}

Header Header::read(const ByteSource& file, Mode mode) {
  try {
    return read_header(file, mode);
  } catch (const Error& error) {
    throw explained(error, file);
  }
}

const Entry* Header::find(std::string_view name) const noexcept {
  uint32_t number = names_.find(name, [&](uint32_t i) { return entries_[i].name; });
  return number == NameTable::kNone ? nullptr : &entries_[number];
}

}  // namespace depickle::safetensors
