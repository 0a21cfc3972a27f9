#include "depickle/convert/compare.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/text.h"
#include "depickle/convert/blocks.h"

namespace depickle::convert {
namespace {

constexpr uint64_t kNowhere = UINT64_MAX;

// The names that a table records in its metadata, each with the name that it was kept as.
class Records {
 public:
  explicit Records(const Weights& weights) : weights_(weights) {
    for (const auto& [key, value] : weights.metadata()) records_.emplace_back(key, value);
    std::ranges::sort(records_);
  }
  // The tensor that `name` means although the table has none of that name; nullptr where there is none.
  const Tensor* find(std::string_view name) const {
    auto record = std::ranges::lower_bound(records_, name, {}, &Record::first);
    return record != records_.end() && record->first == name ? weights_.find(record->second) : nullptr;
  }

 private:
  using Record = std::pair<std::string_view, std::string_view>;
  const Weights& weights_;
  std::vector<Record> records_;
};

// What one name means on both sides; nullptr where it means nothing.
struct Pair {
  const Tensor* a = nullptr;
  const Tensor* b = nullptr;
  std::atomic<uint64_t> first_difference = kNowhere;  // byte in C order

  Pair(const Tensor* in_a, const Tensor* in_b) : a(in_a), b(in_b) {}
  Pair(Pair&& other) noexcept : a(other.a), b(other.b), first_difference(other.first_difference.load()) {}
  bool comparable() const { return a && b && a->dtype == b->dtype && std::ranges::equal(a->shape, b->shape); }
  uint64_t size_bytes() const { return comparable() ? a->size_bytes : 0; }
};

std::vector<Pair> pair_up(const Weights& a, const Weights& b, std::vector<Tied>& tied) {
  const Records records_of_a(a), records_of_b(b);
  auto meant = [&](const Weights& weights, const Records& records, std::string_view name) {
    if (const Tensor* tensor = weights.find(name)) return tensor;
    const Tensor* tensor = records.find(name);
    if (tensor) tied.push_back({std::string(name), std::string(tensor->name)});
    return tensor;
  };
  std::vector<Pair> pairs;
  pairs.reserve(a.tensors().size());
  for (const Tensor& tensor : a.tensors()) pairs.emplace_back(&tensor, meant(b, records_of_b, tensor.name));
  for (const Tensor& tensor : b.tensors()) {
    if (!a.find(tensor.name)) pairs.emplace_back(meant(a, records_of_a, tensor.name), &tensor);
  }
  return pairs;
}

void note_difference(std::atomic<uint64_t>& first, uint64_t at) {
  uint64_t known = first.load(std::memory_order_relaxed);
  while (at < known && !first.compare_exchange_weak(known, at, std::memory_order_relaxed)) {
  }
}

// The first of bytes [begin, end) that differs goes into the pair.
void compare_range(const Weights& a, const Weights& b, Pair& pair, uint64_t begin, uint64_t end, Buffers& buffers) {
  if (begin >= pair.first_difference.load(std::memory_order_relaxed)) return;
  Buffers::Lease lease_a(buffers), lease_b(buffers);
  Bytes in_a = logical_bytes(a, *pair.a, begin, end - begin, lease_a);
  Bytes in_b = logical_bytes(b, *pair.b, begin, end - begin, lease_b);
  if (in_a.empty() || std::memcmp(in_a.data(), in_b.data(), in_a.size()) == 0) return;
  auto [at, ignored] = std::ranges::mismatch(in_a, in_b);
  note_difference(pair.first_difference, begin + static_cast<uint64_t>(at - in_a.begin()));
}

// The bits of the element that holds byte `at`, as a number: the last byte first.
std::string element_bits(const Weights& weights, const Tensor& tensor, uint64_t at) {
  std::byte value[8];
  const uint64_t unit = unit_bytes(tensor.dtype);
  Buffers buffers(1);
  Buffers::Lease lease(buffers);
  Bytes bytes = logical_bytes(weights, tensor, at / unit * unit, unit, lease);
  std::ranges::copy(bytes, value);
  std::string text = "0x";
  for (uint64_t i = unit; i-- > 0;) fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned>(value[i]));
  return text;
}

std::string shape_text(const Tensor& tensor) { return fmt::format("[{}]", fmt::join(tensor.shape, ", ")); }

Finding finding_of(const Weights& a, const Weights& b, const Pair& pair) {
  using Kind = Finding::Kind;
  std::string name(pair.a ? pair.a->name : pair.b->name);
  if (!pair.b) return {Kind::only_in_a, std::move(name), {}, {}};
  if (!pair.a) return {Kind::only_in_b, std::move(name), {}, {}};
  if (pair.a->dtype != pair.b->dtype)
    return {Kind::dtype, std::move(name), std::string(depickle::name(pair.a->dtype)),
        std::string(depickle::name(pair.b->dtype))};
  if (!pair.comparable()) return {Kind::shape, std::move(name), shape_text(*pair.a), shape_text(*pair.b)};
  const uint64_t at = pair.first_difference;
  return {Kind::bytes, std::move(name), element_bits(a, *pair.a, at), element_bits(b, *pair.b, at),
      at * 8 / bits(pair.a->dtype)};
}

}  // namespace

std::string describe(const Finding& finding, std::string_view a, std::string_view b) {
  const std::string tensor = fmt::format("tensor {}: ", quoted(finding.name));
  switch (finding.kind) {
    case Finding::Kind::bytes:
      return tensor + fmt::format("element {} is {} in {} and {} in {}", finding.element, finding.a, a, finding.b, b);
    case Finding::Kind::dtype:
    case Finding::Kind::shape: return tensor + fmt::format("{} in {} and {} in {}", finding.a, a, finding.b, b);
    case Finding::Kind::only_in_a: return tensor + fmt::format("only in {}", a);
    case Finding::Kind::only_in_b: return tensor + fmt::format("only in {}", b);
  }
  return tensor;
}

Comparison compare(const Weights& a, const Weights& b, const CompareOptions& options) {
  Comparison comparison;
  std::vector<Pair> pairs = pair_up(a, b, comparison.tied);
  for (const Pair& pair : pairs) comparison.compared_bytes += pair.size_bytes();

  Buffers buffers(options.threads);
  std::vector<Block> blocks = cut_blocks(
      static_cast<uint32_t>(pairs.size()), [&](uint32_t i) { return pairs[i].size_bytes(); },
      [&](uint32_t i) { return piece_bytes(pairs[i].a->is_contiguous() ? *pairs[i].b : *pairs[i].a, buffers); });
  Meter meter(options.progress, "compare", options.file, comparison.compared_bytes);
  parallel_for(blocks.size(), options.threads, [&](uint64_t i) {
    const Block& block = blocks[i];
    if (block.count == 1) {
      Pair& pair = pairs[block.first];
      if (pair.comparable()) compare_range(a, b, pair, block.begin, block.end, buffers);
    } else {
      for (Pair& pair : std::span(pairs).subspan(block.first, block.count))
        if (pair.comparable()) compare_range(a, b, pair, 0, pair.size_bytes(), buffers);
    }
    meter.add(block.end - block.begin);
  });

  comparison.tensors = pairs.size();
  for (const Pair& pair : pairs) {
    if (pair.comparable() && pair.first_difference == kNowhere) {
      ++comparison.identical;
    } else {
      comparison.findings.push_back(finding_of(a, b, pair));
    }
  }
  return comparison;
}

}  // namespace depickle::convert
