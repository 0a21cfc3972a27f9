#include "depickle/formats/safetensors/slice.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/formats/safetensors/tensor_error.h"

namespace depickle::safetensors {
namespace {

using Wide = __int128;  // wide enough for every dimension, every bound and their sums

// The positions that an item selects in one dimension.
struct Pick {
  uint64_t start = 0, count = 0;
  int64_t step = 1;
  bool keeps_dimension = true;
};

Pick pick(uint64_t size, int64_t index, size_t dimension) {
  Wide at = index < 0 ? Wide{index} + size : Wide{index};
  if (at < 0 || at >= size)
    throw Error(Code::not_found, "",
        fmt::format("index {} is out of range in dimension {} of size {}", index, dimension, size));
  return {.start = static_cast<uint64_t>(at), .count = 1, .step = 1, .keeps_dimension = false};
}

// As PySlice_AdjustIndices: bounds are clamped to [0, size], or to [-1, size - 1] if the step is negative.
Pick pick(uint64_t size, const Range& range, size_t dimension) {
  if (range.step == 0) throw Error(Code::malformed, "", fmt::format("the step in dimension {} is 0", dimension));
  Wide step = range.step, lowest = step < 0 ? -1 : 0, highest = step < 0 ? Wide{size} - 1 : Wide{size};
  auto bound = [&](std::optional<int64_t> given, Wide absent) {
    if (!given) return absent;
    return std::clamp(*given < 0 ? Wide{*given} + size : Wide{*given}, lowest, highest);
  };
  Wide start = bound(range.start, step < 0 ? highest : lowest), stop = bound(range.stop, step < 0 ? lowest : highest);
  Wide distance = step < 0 ? start - stop : stop - start, stride = step < 0 ? -step : step;
  if (distance <= 0) return {};
  return {.start = static_cast<uint64_t>(start),
      .count = static_cast<uint64_t>((distance - 1) / stride + 1),
      .step = range.step};
}

std::vector<Pick> picks(std::span<const uint64_t> shape, std::span<const IndexItem> items) {
  auto is_ellipsis = [](const IndexItem& item) { return std::holds_alternative<Ellipsis>(item); };
  auto ellipses = static_cast<size_t>(std::ranges::count_if(items, is_ellipsis));
  if (ellipses > 1) throw Error(Code::malformed, "", "an index contains more than one ellipsis");
  if (items.size() - ellipses > shape.size())
    throw Error(Code::not_found, "",
        fmt::format("too many indices (have {}, shape {} allows {})", items.size() - ellipses, shape_text(shape),
            shape.size()));

  std::vector<Pick> result;
  auto take_whole = [&](size_t count) {
    for (; count > 0; --count) result.push_back({.start = 0, .count = shape[result.size()]});
  };
  for (const IndexItem& item : items) {
    size_t dimension = result.size();
    if (is_ellipsis(item)) {
      take_whole(shape.size() - (items.size() - 1));
    } else if (const auto* index = std::get_if<int64_t>(&item)) {
      result.push_back(pick(shape[dimension], *index, dimension));
    } else {
      result.push_back(pick(shape[dimension], std::get<Range>(item), dimension));
    }
  }
  take_whole(shape.size() - result.size());
  return result;
}

uint64_t whole_bytes(uint64_t bits) {
  if (bits % 8 != 0)
    throw Error(Code::unsupported, "", "the slice of a sub-byte dtype does not begin and end on byte boundaries");
  return bits / 8;
}

}  // namespace

Slice Slice::of(Dtype dtype, std::span<const uint64_t> shape, std::span<const IndexItem> items) {
  std::vector<Pick> taken = picks(shape, items);
  Slice slice;
  bool empty = false;
  for (const Pick& pick : taken) {
    if (pick.keeps_dimension) slice.shape_.push_back(pick.count);
    empty |= pick.count == 0;
  }
  if (empty) return slice;

  // From the innermost dimension outwards: while dimensions are taken whole, they and the next one are contiguous. No
  // product overflows, because no dimension is 0 here and the product of all fits.
  uint64_t element_bits = bits(dtype), begin_bits = 0, run_bits = element_bits, stride_bits = element_bits, count = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    const Pick& pick = taken[i];
    begin_bits += pick.start * stride_bits;
    count *= pick.count;
    if (pick.count > 1) {
      if (pick.step == 1 && run_bits == stride_bits && slice.outer_.empty()) {
        run_bits *= pick.count;
      } else {
        uint64_t step_bits =
            (pick.step < 0 ? -static_cast<uint64_t>(pick.step) : static_cast<uint64_t>(pick.step)) * stride_bits;
        uint64_t step_bytes = whole_bytes(step_bits);
        slice.outer_.push_back({pick.count, pick.step < 0 ? -step_bytes : step_bytes});
      }
    }
    stride_bits *= shape[i];
  }
  std::ranges::reverse(slice.outer_);
  slice.begin_ = whole_bytes(begin_bits);
  slice.run_bytes_ = whole_bytes(run_bits);
  slice.size_bytes_ = count * element_bits / 8;
  return slice;
}

Slice::Ranges::Ranges(const Slice& slice)
    : slice_(slice),
      position_(slice.outer_.size()),
      begin_(slice.begin_),
      ended_(slice.size_bytes_ == 0) {
  ahead_ = next_run();
}

// Returns the run at position_ and advances position_, the innermost dimension first.
std::optional<ByteRange> Slice::Ranges::next_run() {
  if (ended_) return std::nullopt;
  ByteRange run{begin_, begin_ + slice_.run_bytes_};
  for (size_t i = position_.size(); i-- > 0;) {
    const Dimension& dimension = slice_.outer_[i];
    begin_ += dimension.step_bytes;
    if (++position_[i] < dimension.count) return run;
    begin_ -= dimension.count * dimension.step_bytes;
    position_[i] = 0;
  }
  ended_ = true;
  return run;
}

// Runs of different rows can be adjacent: x[:, ::3] of 4 columns takes the last of one row and the first of the next.
std::optional<ByteRange> Slice::Ranges::next() {
  std::optional<ByteRange> range = ahead_;
  if (!range) return range;
  while ((ahead_ = next_run()) && ahead_->begin == range->end) range->end = ahead_->end;
  return range;
}

namespace {

template <typename View>
void copy_ranges(Slice::Ranges ranges, MutableBytes out, View&& view) {
  while (auto range = ranges.next()) {
    Bytes from = view(range->begin, range->end - range->begin);
    std::memcpy(out.data(), from.data(), from.size());
    out = out.subspan(from.size());
  }
}

void check_out_size(uint64_t have, uint64_t need) {
  if (have != need)
    throw Error(Code::integrity, "",
        fmt::format("the buffer for a slice has the wrong size (have {} bytes, need {})", have, need));
}

}  // namespace

void Slice::read(Bytes tensor, MutableBytes out) const {
  check_out_size(out.size(), size_bytes_);
  copy_ranges(ranges(), out, [&](uint64_t begin, uint64_t length) { return tensor.subspan(begin, length); });
}

void Slice::read(const ByteSource& source, uint64_t offset, MutableBytes out) const {
  check_out_size(out.size(), size_bytes_);
  copy_ranges(ranges(), out, [&](uint64_t begin, uint64_t length) { return source.view(offset + begin, length); });
}

}  // namespace depickle::safetensors
