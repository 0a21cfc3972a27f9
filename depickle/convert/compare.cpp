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

constexpr uint64_t kNoDifference = UINT64_MAX;

// The dropped names that a table records in its metadata, with the names that were kept.
class RecordedAliases {
 public:
  explicit RecordedAliases(const Weights& weights) : weights_(weights) {
    for (const auto& [key, value] : weights.metadata()) aliases_.emplace_back(key, value);
    std::ranges::sort(aliases_);
  }
  // Returns the tensor that was kept for the dropped name `name`; nullptr if the name is not recorded.
  const Tensor* find(std::string_view name) const {
    auto alias = std::ranges::lower_bound(aliases_, name, {}, &NamePair::first);
    return alias != aliases_.end() && alias->first == name ? weights_.find(alias->second) : nullptr;
  }

 private:
  using NamePair = std::pair<std::string_view, std::string_view>;
  const Weights& weights_;
  std::vector<NamePair> aliases_;
};

// The tensors of one name in both tables; nullptr if a table does not contain the name.
struct Pair {
  const Tensor* a = nullptr;
  const Tensor* b = nullptr;
  std::atomic<uint64_t> first_difference = kNoDifference;  // byte offset in C order
  std::atomic<uint64_t> compared_bytes = 0;

  Pair(const Tensor* in_a, const Tensor* in_b) : a(in_a), b(in_b) {}
  Pair(Pair&& other) noexcept : a(other.a), b(other.b) {}  // only before the comparison starts
  bool is_comparable() const { return a && b && a->dtype == b->dtype && std::ranges::equal(a->shape, b->shape); }
  uint64_t size_bytes() const { return is_comparable() ? a->size_bytes : 0; }
  bool is_compared() const { return compared_bytes == size_bytes(); }
};

std::vector<Pair> pair_up(const Weights& a, const Weights& b, std::vector<Tied>& tied) {
  const RecordedAliases aliases_of_a(a), aliases_of_b(b);
  auto find = [&](const Weights& weights, const RecordedAliases& aliases, std::string_view name) {
    if (const Tensor* tensor = weights.find(name)) return tensor;
    const Tensor* tensor = aliases.find(name);
    if (tensor) tied.push_back({std::string(name), std::string(tensor->name)});
    return tensor;
  };
  std::vector<Pair> pairs;
  pairs.reserve(a.tensors().size());
  for (const Tensor& tensor : a.tensors()) pairs.emplace_back(&tensor, find(b, aliases_of_b, tensor.name));
  for (const Tensor& tensor : b.tensors()) {
    if (!a.find(tensor.name)) pairs.emplace_back(find(a, aliases_of_a, tensor.name), &tensor);
  }
  return pairs;
}

// Lowers `first` to `at`, unless it is lower.
void lower_to(std::atomic<uint64_t>& first, uint64_t at) {
  uint64_t known = first.load(std::memory_order_relaxed);
  while (at < known && !first.compare_exchange_weak(known, at, std::memory_order_relaxed)) {
  }
}

// Returns the bits of the element at byte `at` as a number, most significant byte first.
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

Difference difference_of(const Weights& a, const Weights& b, const Pair& pair) {
  std::string name(pair.a ? pair.a->name : pair.b->name);
  if (!pair.b) return {DifferenceKind::only_in_a, std::move(name), {}, {}};
  if (!pair.a) return {DifferenceKind::only_in_b, std::move(name), {}, {}};
  if (pair.a->dtype != pair.b->dtype)
    return {DifferenceKind::dtype, std::move(name), std::string(depickle::name(pair.a->dtype)),
        std::string(depickle::name(pair.b->dtype))};
  if (!pair.is_comparable()) return {DifferenceKind::shape, std::move(name), shape_text(*pair.a), shape_text(*pair.b)};
  const uint64_t at = pair.first_difference;
  return {DifferenceKind::bytes, std::move(name), element_bits(a, *pair.a, at), element_bits(b, *pair.b, at),
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

  // Compares bytes [begin, end) and records the first differing byte in the pair.
  void compare_range(Pair& pair, uint64_t begin, uint64_t end) {
    if (!pair.is_comparable() || begin == end) return;
    pair.compared_bytes.fetch_add(end - begin, std::memory_order_relaxed);
    if (begin >= pair.first_difference.load(std::memory_order_relaxed)) return;
    Buffers::Lease lease_a(buffers), lease_b(buffers);
    const Bytes in_a = logical_bytes(a, *pair.a, begin, end - begin, lease_a);
    const Bytes in_b = logical_bytes(b, *pair.b, begin, end - begin, lease_b);
    os::prefault(in_a);
    os::prefault(in_b);
    if (std::memcmp(in_a.data(), in_b.data(), in_a.size()) == 0) return;
    auto [at, ignored] = std::ranges::mismatch(in_a, in_b);
    lower_to(pair.first_difference, begin + static_cast<uint64_t>(at - in_a.begin()));
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
    ProgressMeter meter(options.progress, "compare", options.file, comparison.compared_bytes);
    if (rest_bytes < comparison.compared_bytes) meter.add(comparison.compared_bytes - rest_bytes);
    parallel_for(blocks.size(), options.threads, [&](uint64_t i) {
      const Block& block = blocks[i];
      if (block.count == 1) {
        compare_range(*rest[block.first], block.begin, block.end);
      } else {
        for (Pair* pair : std::span(rest).subspan(block.first, block.count))
          compare_range(*pair, 0, pair->size_bytes());
      }
      meter.add(block.end - block.begin);
    });
  }
};

IncrementalCompare::IncrementalCompare(const Weights& a, const Weights& b, const CompareOptions& options)
    : state_(std::make_unique<State>(a, b, options)) {}
IncrementalCompare::~IncrementalCompare() = default;

void IncrementalCompare::piece(uint32_t tensor, uint64_t begin, uint64_t end) {
  state_->compare_range(state_->pairs[tensor], begin, end);
}

Comparison IncrementalCompare::finish() {
  state_->compare_rest();
  Comparison& comparison = state_->comparison;
  comparison.tensors = state_->pairs.size();
  for (const Pair& pair : state_->pairs) {
    if (pair.is_comparable() && pair.first_difference == kNoDifference) {
      ++comparison.identical;
    } else {
      comparison.differences.push_back(difference_of(state_->a, state_->b, pair));
    }
  }
  return std::move(comparison);
}

std::string describe(const Difference& difference, std::string_view a, std::string_view b) {
  std::string tensor = fmt::format("tensor {}: ", quoted(difference.name));
  switch (difference.kind) {
    case DifferenceKind::bytes:
      return tensor +
             fmt::format("element {} is {} in {} and {} in {}", difference.element, difference.a, a, difference.b, b);
    case DifferenceKind::dtype:
    case DifferenceKind::shape: return tensor + fmt::format("{} in {} and {} in {}", difference.a, a, difference.b, b);
    case DifferenceKind::only_in_a: return tensor + fmt::format("only in {}", a);
    case DifferenceKind::only_in_b: return tensor + fmt::format("only in {}", b);
  }
  return tensor;
}

Comparison compare(const Weights& a, const Weights& b, const CompareOptions& options) {
  return IncrementalCompare(a, b, options).finish();
}

}  // namespace depickle::convert
