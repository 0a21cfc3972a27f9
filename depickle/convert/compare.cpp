#include "depickle/convert/compare.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/text.h"
#include "depickle/convert/blocks.h"
#include "depickle/os/mapped_file.h"

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
  std::atomic<uint64_t> compared_bytes = 0;

  Pair(const Tensor* in_a, const Tensor* in_b) : a(in_a), b(in_b) {}
  Pair(Pair&& other) noexcept : a(other.a), b(other.b) {}  // before anything is compared
  bool comparable() const { return a && b && a->dtype == b->dtype && std::ranges::equal(a->shape, b->shape); }
  uint64_t size_bytes() const { return comparable() ? a->size_bytes : 0; }
  bool is_compared() const { return compared_bytes == size_bytes(); }
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

struct IncrementalCompare::State {
  const Weights& a;
  const Weights& b;
  const CompareOptions options;
  Comparison comparison = {};
  std::vector<Pair> pairs = pair_up(a, b, comparison.tied);
  Buffers buffers = Buffers(options.threads);

  // The first of bytes [begin, end) that differs goes into the pair.
  void compare(Pair& pair, uint64_t begin, uint64_t end) {
    if (!pair.comparable() || begin == end) return;
    pair.compared_bytes.fetch_add(end - begin, std::memory_order_relaxed);
    if (begin >= pair.first_difference.load(std::memory_order_relaxed)) return;
    Buffers::Lease lease_a(buffers), lease_b(buffers);
    const Bytes in_a = logical_bytes(a, *pair.a, begin, end - begin, lease_a);
    const Bytes in_b = logical_bytes(b, *pair.b, begin, end - begin, lease_b);
    os::prefault(in_a);
    os::prefault(in_b);
    if (std::memcmp(in_a.data(), in_b.data(), in_a.size()) == 0) return;
    auto [at, ignored] = std::ranges::mismatch(in_a, in_b);
    note_difference(pair.first_difference, begin + static_cast<uint64_t>(at - in_a.begin()));
  }

  void compare_rest() {
    uint64_t rest_bytes = 0;
    std::vector<Pair*> rest;
    for (Pair& pair : pairs) {
      comparison.compared_bytes += pair.size_bytes();
      if (pair.is_compared()) continue;
      rest_bytes += pair.size_bytes();
      pair.compared_bytes = 0;
      rest.push_back(&pair);
    }
    const std::vector<Block> blocks = cut_blocks(static_cast<uint32_t>(rest.size()), [&](uint32_t i) {
      return Cut{rest[i]->size_bytes(), piece_bytes(rest[i]->a->is_contiguous() ? *rest[i]->b : *rest[i]->a, buffers)};
    });
    Meter meter(options.progress, "compare", options.file, comparison.compared_bytes);
    if (rest_bytes < comparison.compared_bytes) meter.add(comparison.compared_bytes - rest_bytes);
    parallel_for(blocks.size(), options.threads, [&](uint64_t i) {
      const Block& block = blocks[i];
      if (block.count == 1) {
        compare(*rest[block.first], block.begin, block.end);
      } else {
        for (Pair* pair : std::span(rest).subspan(block.first, block.count)) compare(*pair, 0, pair->size_bytes());
      }
      meter.add(block.end - block.begin);
    });
  }
};

IncrementalCompare::IncrementalCompare(const Weights& a, const Weights& b, const CompareOptions& options)
    : state_(std::make_unique<State>(a, b, options)) {}
IncrementalCompare::~IncrementalCompare() = default;

void IncrementalCompare::piece(uint32_t tensor, uint64_t begin, uint64_t end) {
  state_->compare(state_->pairs[tensor], begin, end);
}

Comparison IncrementalCompare::finish() {
  state_->compare_rest();
  Comparison& comparison = state_->comparison;
  comparison.tensors = state_->pairs.size();
  for (const Pair& pair : state_->pairs) {
    if (pair.comparable() && pair.first_difference == kNowhere) {
      ++comparison.identical;
    } else {
      comparison.findings.push_back(finding_of(state_->a, state_->b, pair));
    }
  }
  return std::move(comparison);
}

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
  return IncrementalCompare(a, b, options).finish();
}

}  // namespace depickle::convert
