#include "depickle/weights/gather.h"

#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "depickle/base/error.h"

namespace depickle::weights {
namespace {

using Numbers = std::vector<uint64_t>;
using Buffer = std::vector<std::byte>;

// A view with the memory that it points into.
struct View {
  Tensor tensor;
  Numbers shape, strides;
  Buffer storage;

  View(Dtype dtype, Numbers shape_, Numbers strides_, uint64_t offset_bytes = 0)
      : shape(std::move(shape_)),
        strides(std::move(strides_)) {
    tensor.dtype = dtype;
    tensor.shape = shape;
    tensor.strides = strides;
    tensor.offset_bytes = offset_bytes;
    tensor.size_bytes = tensor_bytes(dtype, shape).value();
    uint64_t last = 0;
    if (strides.empty()) last = tensor.size_bytes / unit_bytes(dtype);
    for (size_t i = 0; i < strides.size(); ++i) last += (units(i) - 1) * strides[i];
    storage.resize(offset_bytes + (last + 1) * unit_bytes(dtype));
    std::mt19937 random(7);
    for (std::byte& byte : storage) byte = static_cast<std::byte>(random());
  }
  View(const View&) = delete;

  uint64_t units(size_t i) const { return bits(tensor.dtype) == 4 && i + 1 == shape.size() ? shape[i] / 2 : shape[i]; }
  Buffer gathered() const { return gathered(0, tensor.size_bytes); }
  Buffer gathered(uint64_t begin, uint64_t length) const {
    Buffer out(length, std::byte{0xee});
    gather(tensor, storage, begin, out);
    return out;
  }
};

void flip(std::byte* sign) { *sign ^= std::byte{0x80}; }

// Copies element by element.
Buffer reference(const View& view) {
  const uint64_t unit = unit_bytes(view.tensor.dtype);
  Buffer out;
  for (uint64_t element = 0; element < view.tensor.size_bytes / unit; ++element) {
    uint64_t rest = element, at = view.tensor.offset_bytes;
    if (view.strides.empty()) at += element * unit;
    for (size_t i = view.strides.size(); i-- > 0; rest /= view.units(i))
      at += rest % view.units(i) * view.strides[i] * unit;
    Buffer value(
        view.storage.begin() + static_cast<ptrdiff_t>(at), view.storage.begin() + static_cast<ptrdiff_t>(at + unit));
    const bool complex = view.tensor.dtype == Dtype::C64;
    if (view.tensor.swap && complex)
      std::reverse(value.begin(), value.begin() + 4), std::reverse(value.begin() + 4, value.end());
    if (view.tensor.swap && !complex) std::reverse(value.begin(), value.end());
    if (view.tensor.negate) flip(&value.back());
    if (view.tensor.negate && complex) flip(&value[3]);
    if (view.tensor.conjugate) flip(&value.back());
    out.insert(out.end(), value.begin(), value.end());
  }
  return out;
}

void expect_every_range(const View& view, std::mt19937& random) {
  const Buffer expected = reference(view);
  ASSERT_EQ(view.gathered(), expected);
  const uint64_t unit = unit_bytes(view.tensor.dtype), count = expected.size() / unit;
  for (int i = 0; i < 12; ++i) {
    uint64_t begin = random() % count, end = begin + 1 + random() % (count - begin);
    Buffer part(
        expected.begin() + static_cast<ptrdiff_t>(begin * unit), expected.begin() + static_cast<ptrdiff_t>(end * unit));
    ASSERT_EQ(view.gathered(begin * unit, (end - begin) * unit), part)
        << "[" << begin << ", " << end << ") of " << count;
  }
}

TEST(Gather, A_transposed_matrix_is_copied_row_by_row) {
  View view(Dtype::U8, {2, 3}, {1, 2});
  for (size_t i = 0; i < 6; ++i) view.storage[i] = static_cast<std::byte>(i);
  EXPECT_EQ(
      view.gathered(), (Buffer{std::byte{0}, std::byte{2}, std::byte{4}, std::byte{1}, std::byte{3}, std::byte{5}}));
}

TEST(Gather, Random_views_match_the_reference) {
  std::mt19937 random(20260101);
  for (int round = 0; round < 3000; ++round) {
    auto dtype = static_cast<Dtype>(random() % kDtypes);
    if (bits(dtype) < 8) continue;
    const size_t rank = random() % 6;
    Numbers shape(rank), strides(rank);
    for (uint64_t& size : shape) size = 1 + random() % (rank < 3 ? 90 : 7);
    // Strides for a random order of dimensions, with gaps; some dimensions are expanded.
    std::vector<size_t> order(rank);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), random);
    uint64_t step = 1 + (random() % 4 == 0);
    for (size_t i : order) {
      strides[i] = random() % 9 == 0 ? 0 : step;
      step *= shape[i] + (random() % 5 == 0);
    }
    View view(dtype, shape, strides, random() % 3 * unit_bytes(dtype));
    view.tensor.swap = random() % 4 == 0;
    const bool has_sign = dtype == Dtype::F16 || dtype == Dtype::BF16 || dtype == Dtype::F32 || dtype == Dtype::F64 ||
                          dtype == Dtype::C64;
    view.tensor.negate = has_sign && random() % 3 == 0;
    view.tensor.conjugate = dtype == Dtype::C64 && random() % 2 == 0;
    expect_every_range(view, random);
    if (HasFatalFailure()) FAIL() << "round " << round << ", " << name(dtype) << ", rank " << rank;
  }
}

TEST(Gather, Large_transposes_match_across_tile_borders) {
  std::mt19937 random(3);
  for (Dtype dtype : {Dtype::U8, Dtype::BF16, Dtype::F32, Dtype::C64}) {
    expect_every_range(View(dtype, {193, 130}, {1, 193}), random);
    expect_every_range(View(dtype, {3, 64, 70}, {64 * 70, 1, 64}), random);
    expect_every_range(View(dtype, {5, 6, 7, 8}, {1, 5, 30, 210}), random);
  }
}

TEST(Gather, A_contiguous_view_is_copied_with_any_flags) {
  std::mt19937 random(4);
  expect_every_range(View(Dtype::F32, {10, 11}, {}, 4), random);
  View swapped(Dtype::C64, {10, 11}, {});
  swapped.tensor.swap = swapped.tensor.conjugate = swapped.tensor.negate = true;
  expect_every_range(swapped, random);
}

TEST(Gather, An_expanded_view_repeats_its_elements) {
  View view(Dtype::I16, {3, 2, 4}, {0, 1, 0});
  std::mt19937 random(5);
  expect_every_range(view, random);
}

TEST(Gather, Seventy_dimensions_of_size_1_or_2) {
  Numbers shape(70, 1), strides(70, 5);
  for (size_t i : {3u, 20u, 69u, 40u, 41u, 55u}) shape[i] = 2;
  strides[3] = 1, strides[20] = 64, strides[40] = 2, strides[41] = 16, strides[55] = 8, strides[69] = 32;
  std::mt19937 random(6);
  expect_every_range(View(Dtype::F16, shape, strides), random);
}

TEST(Gather, Pairs_of_F4_are_copied_as_bytes) {
  std::mt19937 random(8);
  expect_every_range(View(Dtype::F4, {6, 10}, {1, 6}), random);
  expect_every_range(View(Dtype::F4, {4, 6}, {5, 1}), random);
  expect_every_range(View(Dtype::F4, {3, 6}, {}), random);
}

TEST(Gather, Half_a_byte_of_F4_is_refused) {
  View view(Dtype::F4, {2, 2}, {});
  Numbers shape{2, 3}, strides{4, 1};
  view.tensor.shape = shape, view.tensor.strides = strides, view.tensor.size_bytes = 3;
  EXPECT_THROW(check_gatherable(view.tensor), Error);
}

TEST(Gather, Packed_F6_is_copied_only_without_strides) {
  std::mt19937 random(9);
  expect_every_range(View(Dtype::F6_E2M3, {4, 4}, {}), random);
  View view(Dtype::F6_E2M3, {4, 4}, {1, 4});
  EXPECT_THROW(view.gathered(), Error);
}

TEST(Gather, Negation_is_refused_if_the_dtype_has_no_sign) {
  for (Dtype dtype : {Dtype::I32, Dtype::U8, Dtype::BOOL, Dtype::F8_E4M3, Dtype::F8_E5M2}) {
    View view(dtype, {2}, {1});
    view.tensor.negate = true;
    EXPECT_THROW(view.gathered(), Error) << name(dtype);
  }
  View real(Dtype::F32, {2}, {1});
  real.tensor.conjugate = true;
  EXPECT_THROW(real.gathered(), Error);
}

TEST(Gather, Negation_keeps_the_payload_of_a_NaN) {
  View view(Dtype::F32, {1}, {1});
  const uint32_t nan = 0x7fc0'1234;
  std::memcpy(view.storage.data(), &nan, 4);
  view.tensor.negate = true;
  EXPECT_EQ(load<uint32_t>(view.gathered(), 0), 0xffc0'1234u);
}

TEST(Gather, An_empty_view_has_no_bytes) { EXPECT_EQ(View(Dtype::F32, {3, 0}, {}).gathered(), Buffer{}); }

TEST(GatherBlock, Blocks_end_where_rows_end) {
  View matrix(Dtype::F32, {100, 25}, {1, 100});
  EXPECT_EQ(gather_block_bytes(matrix.tensor, 1050), 1000u);  // ten rows of 100 bytes
  EXPECT_EQ(gather_block_bytes(matrix.tensor, 99), 96u);      // less than a row: whole elements
  EXPECT_EQ(gather_block_bytes(matrix.tensor, 1), 4u);
  View planes(Dtype::U8, {9, 10, 10}, {1, 9, 90});
  EXPECT_EQ(gather_block_bytes(planes.tensor, 250), 200u);
}

}  // namespace
}  // namespace depickle::weights
