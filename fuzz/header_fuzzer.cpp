// safetensors: headers in both modes, slices of tensors, headers that are written again, and index.json.
#include <algorithm>

#include "depickle/base/tensor.h"
#include "depickle/formats/safetensors/header.h"
#include "depickle/formats/safetensors/index.h"
#include "depickle/formats/safetensors/layout.h"
#include "depickle/formats/safetensors/slice.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"

namespace depickle::fuzz {
namespace {

using namespace safetensors;

void check_entries(const Header& header, const ByteSource& file) {
  uint64_t next = 0;
  for (const Entry& entry : header.entries()) {
    require(entry.begin == next && entry.end >= entry.begin, "tensors cover the data section without gaps");
    require(
        tensor_bytes(entry.dtype, entry.shape) == entry.size_bytes(), "a tensor has the size of its dtype and shape");
    require(header.find(entry.name) == &entry, "a tensor is found by its name");
    next = entry.end;
  }
  require(header.data_begin() + next == file.size_bytes(), "the last tensor ends with the file");
}

// Returns whether two headers have the same tensors and metadata, at any offsets.
bool same(const Header& a, const Header& b) {
  bool all = std::ranges::all_of(a.entries(), [&](const Entry& entry) {
    const Entry* other = b.find(entry.name);
    return other && other->dtype == entry.dtype && std::ranges::equal(other->shape, entry.shape);
  });
  auto sorted = [](Metadata metadata) {
    std::ranges::sort(metadata);
    return metadata;
  };
  return all && a.entries().size() == b.entries().size() && a.has_metadata() == b.has_metadata() &&
         sorted(a.metadata()) == sorted(b.metadata());
}

void check_rewritten(const Header& header) {
  std::vector<TensorSpec> specs;
  for (const Entry& entry : header.entries()) specs.push_back({entry.name, entry.dtype, entry.shape});
  std::optional<Metadata> metadata;
  if (header.has_metadata()) metadata = header.metadata();
  FilePlan plan = plan_file(specs, metadata);
  auto parse = [&](const FilePlan& file) {
    return Header::parse(bytes(file.head).subspan(8), file.file_bytes - file.head.size(), Mode::strict);
  };
  Header again = parse(plan);
  require(same(header, again), "a header that is written again is equal");

  std::ranges::reverse(specs);
  FilePlan reversed = plan_file(specs, metadata, 64);
  require(reversed.head.size() % 64 == 0 && same(again, parse(reversed)), "order and alignment change no tensor");
}

Range random_range(Choices& choices, uint64_t size) {
  Range range;
  auto bound = [&] { return static_cast<int64_t>(choices.below(2 * size + 3)) - static_cast<int64_t>(size) - 1; };
  if (!choices.one_in(3)) range.start = bound();
  if (!choices.one_in(3)) range.stop = bound();
  if (choices.one_in(2)) range.step = static_cast<int64_t>(choices.below(7)) - 3;
  return range;
}

// Returns the positions that a range selects, as Python's slice.indices().
std::vector<uint64_t> positions(const Range& range, uint64_t dimension) {
  const auto size = static_cast<int64_t>(dimension);
  auto clamp = [&](std::optional<int64_t> bound, int64_t absent) {
    if (!bound) return absent;
    int64_t at = *bound < 0 ? *bound + size : *bound;
    return std::clamp<int64_t>(at, range.step < 0 ? -1 : 0, range.step < 0 ? size - 1 : size);
  };
  const int64_t start = clamp(range.start, range.step < 0 ? size - 1 : 0),
                stop = clamp(range.stop, range.step < 0 ? -1 : size);
  std::vector<uint64_t> all;
  for (int64_t at = start; range.step < 0 ? at > stop : at < stop; at += range.step)
    all.push_back(static_cast<uint64_t>(at));
  return all;
}

// Returns the slice, copied element by element.
std::vector<std::byte> expected_slice(Bytes tensor, const Entry& entry, std::span<const std::vector<uint64_t>> taken) {
  const uint64_t unit = unit_bytes(entry.dtype);
  std::vector<uint64_t> offsets{0};
  for (size_t i = 0; i < entry.shape.size(); ++i) {
    std::vector<uint64_t> next;
    for (uint64_t offset : offsets)
      for (uint64_t at : taken[i]) next.push_back(offset * entry.shape[i] + at);
    offsets = std::move(next);
  }
  std::vector<std::byte> out;
  for (uint64_t offset : offsets)
    out.insert(out.end(), tensor.begin() + offset * unit, tensor.begin() + (offset + 1) * unit);
  return out;
}

void check_slice(const ByteSource& file, const Header& header, const Entry& entry, Choices& choices) {
  std::vector<IndexItem> items;
  std::vector<std::vector<uint64_t>> taken;
  for (uint64_t size : entry.shape) {
    if (size > 0 && choices.one_in(4)) {
      taken.push_back({choices.below(size)});
      items.push_back(static_cast<int64_t>(taken.back()[0]) - (choices.one_in(2) ? static_cast<int64_t>(size) : 0));
    } else {
      Range range = random_range(choices, std::min<uint64_t>(size, 1 << 20));
      if (range.step == 0)
        return require(!accepts([&] { Slice::of(entry.dtype, entry.shape, std::array<IndexItem, 1>{range}); }),
            "a step of 0 is refused");
      taken.push_back(positions(range, size));
      items.push_back(range);
    }
  }
  std::optional<Slice> slice;
  if (!accepts([&] { slice = Slice::of(entry.dtype, entry.shape, items); }))
    return require(bits(entry.dtype) < 8, "a valid index is accepted");
  if (bits(entry.dtype) < 8) return;  // packed elements share bytes

  std::vector<std::byte> got(slice->size_bytes());
  slice->read(file, header.data_begin() + entry.begin, got);
  require(got == expected_slice(file.view(header.data_begin() + entry.begin, entry.size_bytes()), entry, taken),
      "a slice contains the selected elements");
}

void check_slices(const ByteSource& file, const Header& header, Choices& choices) {
  constexpr uint64_t kMaxBytes = 4096;
  for (const Entry& entry : header.entries().first(std::min<size_t>(header.entries().size(), 8))) {
    bool small = entry.size_bytes() <= kMaxBytes && entry.shape.size() <= 8 &&
                 std::ranges::all_of(entry.shape, [](uint64_t size) { return size <= kMaxBytes; });
    for (int i = 0; small && i < 4; ++i) check_slice(file, header, entry, choices);
  }
}

void check_index(std::string_view json) {
  accepts([&] {
    Index index = Index::parse(json);
    for (const auto& [name, shard] : index.weight_map()) {
      const std::string* found = index.find(name);
      require(found && *found == shard, "a tensor is found in its shard");
      require(!shard.starts_with('/') && !shard.starts_with("../") && shard != "..",
          "a shard is in the folder of the index");
    }
    Index again = Index::parse(index.to_json());
    auto sorted = [](Index::WeightMap map) {
      std::ranges::sort(map);
      return map;
    };
    require(sorted(index.weight_map()) == sorted(again.weight_map()), "an index that is written again is equal");
    require(index.total_size_bytes() == again.total_size_bytes(), "total_size is kept");
  });
}

// The length of a header of 123 bytes also begins with a brace.
bool is_json(std::string_view file) { return file.starts_with('{') && !file.substr(1).starts_with('\0'); }

void run(Bytes bytes) {
  if (is_json(text(bytes))) return check_index(text(bytes));
  std::shared_ptr<const ByteSource> file = input_file(bytes);
  bool strict = accepts([&] { Header::read(*file, Mode::strict); });
  std::optional<Header> header;
  bool reference = accepts([&] { header = Header::read(*file, Mode::reference); });
  require(!strict || reference, "the reference mode accepts everything that the strict mode accepts");
  if (!header) return;
  Choices choices(bytes);
  check_entries(*header, *file);
  check_slices(*file, *header, choices);
  check_rewritten(*header);
}

}  // namespace
}  // namespace depickle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  depickle::fuzz::run(depickle::fuzz::input(data, size));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return depickle::fuzz::mutate_safetensors(data, size, max_size, seed);
}
