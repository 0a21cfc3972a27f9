#include "depickle/formats/safetensors/layout.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <tuple>

#include <fmt/format.h>
#include <simdjson.h>

#include "depickle/base/error.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/formats/safetensors/size_rules.h"
#include "depickle/formats/safetensors/tensor_error.h"

namespace depickle::safetensors {
namespace {

constexpr uint64_t kMaxAlignBytes = 1 << 20;

void check_names(std::span<const TensorSpec> specs) {
  for (const TensorSpec& spec : specs) {
    if (!simdjson::validate_utf8(spec.name)) throw tensor_error("ST04", "the name is not UTF-8", spec.name);
    if (spec.name == kMetadataKey) throw tensor_error("ST24", "the name is reserved for metadata", spec.name);
  }
  NameTable names(static_cast<uint32_t>(specs.size()), [&](uint32_t i) { return specs[i].name; });
  if (names.repeated() != NameTable::kNone)
    throw tensor_error("ST12", "the name occurs twice", specs[names.repeated()].name);
}

// Returns the numbers of the specs in the order of the file.
std::vector<uint32_t> order_of(std::span<const TensorSpec> specs) {
  std::vector<uint32_t> order(specs.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, [&](uint32_t a, uint32_t b) {
    return std::tie(specs[b].dtype, specs[a].name) < std::tie(specs[a].dtype, specs[b].name);
  });
  return order;
}

// Returns contiguous places, counted from the start of the data section.
std::vector<Place> places_of(std::span<const TensorSpec> specs) {
  constexpr uint64_t kMaxDataBytes = INT64_MAX - 2 * kMaxHeaderBytes;  // files end before 2^63
  std::vector<Place> places;
  places.reserve(specs.size());
  uint64_t next = 0;
  for (uint32_t number : order_of(specs)) {
    const TensorSpec& spec = specs[number];
    uint64_t begin = next;
    if (__builtin_add_overflow(next, checked_tensor_bytes(spec.dtype, spec.shape, spec.name), &next) ||
        next > kMaxDataBytes)
      throw tensor_error("ST13", "the tensors up to this one need more than 2^63 bytes", spec.name);
    places.push_back({number, begin, next});
  }
  return places;
}

void append_metadata(std::string& out, const Metadata& metadata) {
  std::vector<const Metadata::value_type*> sorted;
  for (const auto& member : metadata) {
    if (!simdjson::validate_utf8(member.first) || !simdjson::validate_utf8(member.second))
      throw Error(
          Code::malformed, "ST04", fmt::format("the metadata entry {} is not UTF-8", depickle::quoted(member.first)));
    sorted.push_back(&member);
  }
  std::ranges::sort(sorted, {}, [](const auto* member) -> const std::string& { return member->first; });
  append_json_string(out, kMetadataKey);
  out += ":{";
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (i > 0 && sorted[i]->first == sorted[i - 1]->first)
      throw Error(
          Code::malformed, "ST20", fmt::format("the metadata contains {} twice", depickle::quoted(sorted[i]->first)));
    if (i > 0) out += ',';
    append_json_string(out, sorted[i]->first);
    out += ':';
    append_json_string(out, sorted[i]->second);
  }
  out += '}';
}

void append_entry(std::string& out, const TensorSpec& spec, const Place& place) {
  append_json_string(out, spec.name);
  fmt::format_to(std::back_inserter(out), ":{{\"dtype\":\"{}\",\"shape\":[", name(spec.dtype));
  for (size_t i = 0; i < spec.shape.size(); ++i)
    fmt::format_to(std::back_inserter(out), "{}{}", i > 0 ? "," : "", spec.shape[i]);
  fmt::format_to(std::back_inserter(out), "],\"data_offsets\":[{},{}]}}", place.begin, place.end);
}

void check_writable_header(uint64_t json_bytes) {
  if (json_bytes > kMaxHeaderBytes)
    throw Error(Code::limit, "ST02",
        fmt::format("the header is too large (needs at least {} bytes, the limit is {})", grouped(json_bytes),
            grouped(kMaxHeaderBytes)),
        {}, "split the tensors into several files");
}

// Returns the length, the JSON, and spaces up to a multiple of `align_bytes`.
std::string head_of(std::span<const TensorSpec> specs, std::span<const Place> places,
    const std::optional<Metadata>& metadata, uint64_t align_bytes) {
  constexpr size_t kEntryGuessBytes = 80;
  size_t name_bytes = 0;
  for (const TensorSpec& spec : specs) name_bytes += spec.name.size();
  check_writable_header(name_bytes);
  std::string out;
  out.reserve(std::min<uint64_t>(name_bytes + specs.size() * kEntryGuessBytes, kMaxHeaderBytes) + align_bytes);
  out.assign(kLengthBytes, '\0');
  out += '{';
  if (metadata) append_metadata(out, *metadata);
  check_writable_header(out.size() - kLengthBytes);
  for (const Place& place : places) {
    if (out.size() > kLengthBytes + 1) out += ',';
    append_entry(out, specs[place.spec], place);
    check_writable_header(out.size() - kLengthBytes);
  }
  out += '}';
  out.append((align_bytes - out.size() % align_bytes) % align_bytes, ' ');
  uint64_t json_bytes = out.size() - kLengthBytes;
  check_writable_header(json_bytes);
  std::memcpy(out.data(), &json_bytes, kLengthBytes);
  return out;
}

}  // namespace

FilePlan plan_file(std::span<const TensorSpec> specs, const std::optional<Metadata>& metadata, uint64_t align_bytes) {
  if (align_bytes < 8 || align_bytes > kMaxAlignBytes || !std::has_single_bit(align_bytes))
    throw Error(Code::unsupported, "",
        fmt::format("the alignment is {} (must be a power of two from 8 to {} bytes)", plural(align_bytes, "byte"),
            grouped(kMaxAlignBytes)));
  check_names(specs);
  FilePlan plan;
  plan.places = places_of(specs);
  plan.head = head_of(specs, plan.places, metadata, align_bytes);
  plan.file_bytes = plan.head.size() + (plan.places.empty() ? 0 : plan.places.back().end);
  for (Place& place : plan.places) place.begin += plan.head.size(), place.end += plan.head.size();
  return plan;
}

void check_content_size(const TensorSpec& spec, uint64_t size_bytes) {
  const uint64_t needed_bytes = checked_tensor_bytes(spec.dtype, spec.shape, spec.name);
  if (size_bytes != needed_bytes)
    throw tensor_error("ST16",
        fmt::format("the content has {} bytes, but shape {} of {} needs {}", size_bytes, shape_text(spec.shape),
            name(spec.dtype), needed_bytes),
        spec.name);
}

}  // namespace depickle::safetensors
