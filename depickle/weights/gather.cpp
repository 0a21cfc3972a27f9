#include "depickle/weights/gather.h"

#include <algorithm>
#include <bit>
#include <vector>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle::weights {
namespace {

// One dimension.
struct Axis {
  uint64_t count;  // elements
  uint64_t from;   // bytes from one element to the next, in the source
  uint64_t to;     // the same in the target
};

bool is_flat(const Tensor& tensor) { return is_c_order(tensor.dtype, tensor.shape, tensor.strides); }

// Returns the size of dimension i in units: elements, or for F4 bytes of two elements.
uint64_t units(const Tensor& tensor, size_t i) {
  return i + 1 == tensor.shape.size() && bits(tensor.dtype) == 4 ? tensor.shape[i] / 2 : tensor.shape[i];
}

// Returns the dimensions, outermost first, without those of size 1. Neighbors that are contiguous are joined. The
// target is in C order.
std::vector<Axis> axes_of(const Tensor& tensor) {
  const uint64_t unit = unit_bytes(tensor.dtype);
  if (is_flat(tensor)) return {{tensor.size_bytes / unit, unit, unit}};
  std::vector<Axis> axes;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    Axis axis{units(tensor, i), tensor.strides[i] * unit, 0};
    if (axis.count == 1) continue;
    if (!axes.empty() && axes.back().from == axis.count * axis.from) {
      axes.back() = {axes.back().count * axis.count, axis.from, 0};
    } else {
      axes.push_back(axis);
    }
  }
  uint64_t to = unit;
  for (size_t i = axes.size(); i-- > 0; to *= axes[i].count) axes[i].to = to;
  return axes;
}

template <typename Unit>
Unit load_unit(const std::byte* from) {
  Unit unit;
  std::memcpy(&unit, from, sizeof unit);
  return unit;
}

template <typename Unit>
void copy_row(const std::byte* from, std::byte* to, const Axis& row) {
  if (row.from == sizeof(Unit)) {
    std::memcpy(to, from, row.count * sizeof(Unit));
    return;
  }
  for (uint64_t i = 0; i < row.count; ++i, from += row.from, to += sizeof(Unit)) std::memcpy(to, from, sizeof(Unit));
}

// Copies a plane whose columns are denser in the source than its rows. Goes by tiles through a small buffer: each cache
// line of the source is read once and each one of the target is written once, also if the strides are powers of two.
template <typename Unit>
void copy_plane(const std::byte* from, std::byte* to, const Axis& column, const Axis& row) {
  constexpr uint64_t kSide = 64 / sizeof(Unit);
  Unit tile[kSide][kSide];
  for (uint64_t x = 0; x < row.count; x += kSide) {
    const uint64_t width = std::min(kSide, row.count - x);
    for (uint64_t y = 0; y < column.count; y += kSide) {
      const uint64_t height = std::min(kSide, column.count - y);
      const std::byte* source = from + x * row.from + y * column.from;
      std::byte* target = to + x * sizeof(Unit) + y * column.to;
      if (width == kSide && height == kSide && column.from == sizeof(Unit)) {
        for (uint64_t i = 0; i < kSide; ++i) {
          Unit line[kSide];
          std::memcpy(line, source + i * row.from, sizeof line);
          for (uint64_t j = 0; j < kSide; ++j) tile[j][i] = line[j];
        }
        for (uint64_t j = 0; j < kSide; ++j) std::memcpy(target + j * column.to, tile[j], sizeof tile[j]);
      } else {
        for (uint64_t i = 0; i < width; ++i)
          for (uint64_t j = 0; j < height; ++j) tile[j][i] = load_unit<Unit>(source + i * row.from + j * column.from);
        for (uint64_t j = 0; j < height; ++j) std::memcpy(target + j * column.to, tile[j], width * sizeof(Unit));
      }
    }
  }
}

// Calls body(from, to) for every position of `axes`; the last axis varies fastest. `at` is scratch memory.
template <typename Body>
void for_each(std::span<const Axis> axes, std::vector<uint64_t>& at, const std::byte* from, std::byte* to, Body body) {
  at.assign(axes.size(), 0);
  for (;;) {
    body(from, to);
    size_t i = axes.size();
    for (;;) {
      if (i-- == 0) return;
      from += axes[i].from;
      to += axes[i].to;
      if (++at[i] < axes[i].count) break;
      from -= axes[i].from * axes[i].count;
      to -= axes[i].to * axes[i].count;
      at[i] = 0;
    }
  }
}

// Copies the box of `axes`, and reorders them.
template <typename Unit>
void copy_box(const std::byte* from, std::byte* to, std::vector<Axis>& axes, std::vector<uint64_t>& at) {
  std::erase_if(axes, [](const Axis& axis) { return axis.count == 1; });
  Axis row{1, sizeof(Unit), sizeof(Unit)};
  if (!axes.empty() && axes.back().to == sizeof(Unit)) {
    row = axes.back();
    axes.pop_back();
  }
  // The column is the axis in which the source is densest. Tiles are not worth it if the rows are denser.
  auto column =
      std::ranges::min_element(axes, {}, [](const Axis& axis) { return axis.from == 0 ? UINT64_MAX : axis.from; });
  if (column != axes.end() && column->from != 0 && column->from < row.from) {
    const Axis chosen = *column;
    axes.erase(column);
    std::ranges::sort(axes, std::ranges::greater{}, &Axis::from);
    for_each(axes, at, from, to,
        [&](const std::byte* source, std::byte* target) { copy_plane<Unit>(source, target, chosen, row); });
  } else {
    for_each(
        axes, at, from, to, [&](const std::byte* source, std::byte* target) { copy_row<Unit>(source, target, row); });
  }
}

// Cuts the range [first, first + count) of elements in C order into boxes, at most two per dimension, and copies each.
template <typename Unit>
void copy_range(std::span<const Axis> axes, const std::byte* from, uint64_t first, uint64_t count, std::byte* to) {
  std::vector<uint64_t> position(axes.size()), at;
  for (size_t i = 0; i < axes.size(); ++i) {
    const uint64_t inner = axes[i].to / sizeof(Unit);
    position[i] = first / inner;
    first %= inner;
  }
  std::vector<Axis> box;
  while (count > 0) {
    // The outermost axis along which whole inner boxes remain to be copied.
    size_t along = axes.size();
    while (along > 0 && axes[along - 1].to / sizeof(Unit) <= count && (along == axes.size() || position[along] == 0))
      --along;
    const uint64_t inner = along < axes.size() ? axes[along].to / sizeof(Unit) : 1;
    const uint64_t steps = along < axes.size() ? std::min(axes[along].count - position[along], count / inner) : 1;

    const std::byte* source = from;
    for (size_t i = 0; i < axes.size(); ++i) source += position[i] * axes[i].from;
    box.assign(axes.begin() + static_cast<ptrdiff_t>(std::min(along, axes.size())), axes.end());
    if (!box.empty()) box.front().count = steps;
    copy_box<Unit>(source, to, box, at);

    to += steps * inner * sizeof(Unit);
    count -= steps * inner;
    if (along == axes.size()) continue;
    position[along] += steps;
    for (size_t i = along; i > 0 && position[i] == axes[i].count; --i) {
      position[i] = 0;
      ++position[i - 1];
    }
  }
}

// Returns the sign bits of one element of 2, 4 or 8 bytes; 0 if the dtype has no sign bit.
uint64_t sign_bits(Dtype dtype) {
  switch (dtype) {
    case Dtype::F16:
    case Dtype::BF16: return 0x8000;
    case Dtype::F32: return 0x8000'0000;
    case Dtype::F64: return 0x8000'0000'0000'0000;
    case Dtype::C64: return 0x8000'0000'8000'0000;
    default: return 0;
  }
}

constexpr uint64_t kImaginarySign = 0x8000'0000'0000'0000;

uint16_t swapped(uint16_t value) { return __builtin_bswap16(value); }
uint32_t swapped(uint32_t value) { return __builtin_bswap32(value); }
uint64_t swapped(uint64_t value) { return __builtin_bswap64(value); }

template <typename Unit>
void transform_units(MutableBytes out, bool swap, bool halves, Unit flip) {
  for (size_t i = 0; i < out.size(); i += sizeof(Unit)) {
    auto value = load_unit<Unit>(out.data() + i);
    if (swap) value = swapped(value);
    if (halves) value = std::rotl(value, 4 * sizeof(Unit));  // swapping an element exchanged the halves of a C64
    value ^= flip;
    std::memcpy(out.data() + i, &value, sizeof value);
  }
}

void apply_flags(const Tensor& tensor, MutableBytes out) {
  uint64_t flip = (tensor.negate ? sign_bits(tensor.dtype) : 0) ^ (tensor.conjugate ? kImaginarySign : 0);
  if (flip == 0 && !tensor.swap) return;
  switch (unit_bytes(tensor.dtype)) {
    case 2: return transform_units(out, tensor.swap, false, static_cast<uint16_t>(flip));
    case 4: return transform_units(out, tensor.swap, false, static_cast<uint32_t>(flip));
    case 8: return transform_units(out, tensor.swap, tensor.swap && tensor.dtype == Dtype::C64, flip);
    default: return;  // a single byte has no byte order
  }
}

[[noreturn]] void refuse(const Tensor& tensor, std::string what) {
  throw Error(Code::unsupported, "", std::move(what), Where::of(tensor.name));
}

}  // namespace

void check_gatherable(const Tensor& tensor) {
  if (tensor.negate && sign_bits(tensor.dtype) == 0)
    refuse(tensor, fmt::format("negation has no meaning for {}", name(tensor.dtype)));
  if (tensor.conjugate && tensor.dtype != Dtype::C64)
    refuse(tensor, fmt::format("conjugation has no meaning for {}", name(tensor.dtype)));
  if (bits(tensor.dtype) >= 8 || tensor.size_bytes == 0 || is_flat(tensor)) return;
  if (bits(tensor.dtype) == 6) refuse(tensor, fmt::format("has strides on packed elements of {}", name(tensor.dtype)));
  if (tensor.shape.back() % 2 != 0) refuse(tensor, "has strides on rows that end inside a byte");
}

void gather(const Tensor& tensor, Bytes storage, uint64_t begin, MutableBytes out) {
  check_gatherable(tensor);
  if (out.empty()) return;
  const std::vector<Axis> axes = axes_of(tensor);
  const std::byte* from = storage.data() + tensor.offset_bytes;
  const uint64_t unit = unit_bytes(tensor.dtype), first = begin / unit, count = out.size() / unit;
  switch (unit) {
    case 1: copy_range<uint8_t>(axes, from, first, count, out.data()); break;
    case 2: copy_range<uint16_t>(axes, from, first, count, out.data()); break;
    case 4: copy_range<uint32_t>(axes, from, first, count, out.data()); break;
    default: copy_range<uint64_t>(axes, from, first, count, out.data()); break;
  }
  apply_flags(tensor, out);
}

uint64_t gather_block_bytes(const Tensor& tensor, uint64_t max_bytes) noexcept {
  uint64_t whole = unit_bytes(tensor.dtype);
  if (!tensor.strides.empty() && tensor.size_bytes > 0) {
    for (size_t i = tensor.shape.size(); i-- > 0 && units(tensor, i) <= max_bytes / whole;)
      whole *= std::max<uint64_t>(units(tensor, i), 1);
  }
  return std::max<uint64_t>(max_bytes / whole, 1) * whole;
}

}  // namespace depickle::weights
