#include "depickle/formats/safetensors/slice.h"

#include <sys/mman.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "tests/formats/safetensors/files.h"

namespace depickle::safetensors {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Index = std::vector<IndexItem>;
using Shape = std::vector<uint64_t>;
constexpr Range kAll{};

std::vector<ByteRange> ranges(const Slice& slice) {
  std::vector<ByteRange> out;
  for (auto ranges = slice.ranges(); auto range = ranges.next();) out.push_back(*range);
  return out;
}

std::vector<ByteRange> ranges(Dtype dtype, const Shape& shape, const Index& index) {
  return ranges(Slice::of(dtype, shape, index));
}
Code refusal_of(const Shape& shape, const Index& index, Dtype dtype = Dtype::U8) {
  return error_of([&] { Slice::of(dtype, shape, index); }).code();
}

TEST(Slice, RowsAreOneRange) {
  EXPECT_THAT(ranges(Dtype::F32, {10, 5}, {Range{2, 4}}), ElementsAre(ByteRange{40, 80}));
  EXPECT_THAT(ranges(Dtype::F32, {10, 5}, {}), ElementsAre(ByteRange{0, 200}));
  EXPECT_THAT(ranges(Dtype::F32, {10, 5}, {int64_t{-1}}), ElementsAre(ByteRange{180, 200}));
}

TEST(Slice, ColumnsAreOneRangeForEachRow) {
  EXPECT_THAT(ranges(Dtype::F16, {3, 4}, {kAll, Range{1, 3}}),
      ElementsAre(ByteRange{2, 6}, ByteRange{10, 14}, ByteRange{18, 22}));
}

TEST(Slice, AdjacentRangesAreMerged) {
  EXPECT_THAT(ranges(Dtype::U8, {2, 4}, {kAll, Range{{}, {}, 3}}),
      ElementsAre(ByteRange{0, 1}, ByteRange{3, 5}, ByteRange{7, 8}));
}

TEST(Slice, NegativeStepsRunBackwards) {
  EXPECT_THAT(
      ranges(Dtype::U8, {5}, {Range{{}, {}, -2}}), ElementsAre(ByteRange{4, 5}, ByteRange{2, 3}, ByteRange{0, 1}));
  EXPECT_THAT(ranges(Dtype::U8, {2, 3}, {Range{{}, {}, -1}}), ElementsAre(ByteRange{3, 6}, ByteRange{0, 3}));
}

TEST(Slice, BoundsAreClampedAsInPython) {
  EXPECT_THAT(ranges(Dtype::U8, {10}, {Range{-3, 99}}), ElementsAre(ByteRange{7, 10}));
  EXPECT_THAT(ranges(Dtype::U8, {10}, {Range{-99, 2}}), ElementsAre(ByteRange{0, 2}));
  EXPECT_THAT(ranges(Dtype::U8, {10}, {Range{5, 3}}), IsEmpty());
  EXPECT_THAT(Slice::of(Dtype::U8, Shape{10}, Index{Range{10, {}}}).shape(), ElementsAre(0));
  EXPECT_THAT(ranges(Dtype::U8, {10}, {Range{INT64_MIN, INT64_MAX, INT64_MAX}}), ElementsAre(ByteRange{0, 1}));
  EXPECT_THAT(ranges(Dtype::U8, {10}, {Range{INT64_MAX, INT64_MIN, INT64_MIN}}), ElementsAre(ByteRange{9, 10}));
}

TEST(Slice, AnEllipsisIsAllOtherDimensions) {
  EXPECT_THAT(Slice::of(Dtype::U8, Shape{2, 3, 4}, Index{int64_t{0}, Ellipsis{}, int64_t{-1}}).shape(), ElementsAre(3));
  EXPECT_THAT(Slice::of(Dtype::U8, Shape{2, 3, 4}, Index{Ellipsis{}}).shape(), ElementsAre(2, 3, 4));
  EXPECT_THAT(Slice::of(Dtype::U8, Shape{}, Index{Ellipsis{}}).shape(), IsEmpty());
  EXPECT_EQ(Slice::of(Dtype::U8, Shape{}, Index{}).size_bytes(), 1u);
}

TEST(Slice, TensorsWithoutElementsAndHugeDimensions) {
  EXPECT_THAT(ranges(Dtype::F32, {UINT64_MAX, 0}, {Range{-5, {}}}), IsEmpty());
  EXPECT_THAT(Slice::of(Dtype::F32, Shape{UINT64_MAX, 0}, Index{Range{-5, {}}}).shape(), ElementsAre(5, 0));
  EXPECT_THAT(
      Slice::of(Dtype::F32, Shape{UINT64_MAX, 0}, Index{Range{{}, {}, -1}}).shape(), ElementsAre(UINT64_MAX, 0));
}

TEST(Slice, InvalidIndicesAreRefused) {
  EXPECT_EQ(refusal_of({3}, {int64_t{3}}), Code::not_found);
  EXPECT_EQ(refusal_of({3}, {int64_t{-4}}), Code::not_found);
  EXPECT_EQ(refusal_of({0}, {int64_t{0}}), Code::not_found);
  EXPECT_EQ(refusal_of({3}, {kAll, kAll}), Code::not_found);
  EXPECT_EQ(refusal_of({3}, {Range{{}, {}, 0}}), Code::malformed);
  EXPECT_EQ(refusal_of({3}, {Ellipsis{}, Ellipsis{}}), Code::malformed);
}

TEST(Slice, PartsOfSubByteTensorsBeginAndEndOnBytes) {
  EXPECT_THAT(ranges(Dtype::F4, {4, 2}, {Range{1, 3}}), ElementsAre(ByteRange{1, 3}));
  EXPECT_THAT(ranges(Dtype::F6_E2M3, {8}, {Range{4, {}}}), ElementsAre(ByteRange{3, 6}));
  EXPECT_THAT(ranges(Dtype::F4, {3, 2}, {Range{{}, {}, -2}}), ElementsAre(ByteRange{2, 3}, ByteRange{0, 1}));
  EXPECT_EQ(refusal_of({4}, {Range{1, 3}}, Dtype::F4), Code::unsupported);
  EXPECT_EQ(refusal_of({4}, {int64_t{0}}, Dtype::F4), Code::unsupported);
  EXPECT_EQ(refusal_of({4, 2}, {kAll, Range{0, 1}}, Dtype::F4), Code::unsupported);
}

TEST(Slice, RangesOfALongSliceAreComputedOneAtATime) {
  // 2^40 ranges: a list of them would not fit in memory.
  Slice slice = Slice::of(Dtype::U8, Shape{uint64_t{1} << 41}, Index{Range{{}, {}, 2}});
  EXPECT_EQ(slice.size_bytes(), uint64_t{1} << 40);
  auto ranges = slice.ranges();
  EXPECT_EQ(ranges.next(), (ByteRange{0, 1}));
  EXPECT_EQ(ranges.next(), (ByteRange{2, 3}));
}

// Records the ranges that are read.
class RecordingSource final : public ByteSource {
 public:
  explicit RecordingSource(std::string content) : ByteSource("recorder"), content_(std::move(content)) {}
  uint64_t size_bytes() const noexcept override { return content_.size(); }
  mutable std::vector<ByteRange> reads;

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override {
    reads.push_back({offset, offset + length});
    return bytes(content_).subspan(offset, length);
  }
  std::string content_;
};

TEST(Slice, ReadsItsRangesOnly) {
  RecordingSource source("__abcdefghijkl");
  Slice slice = Slice::of(Dtype::U8, Shape{3, 4}, Index{Range{{}, {}, -2}, Range{1, 3}});
  std::vector<std::byte> out(slice.size_bytes());
  slice.read(source, 2, out);
  EXPECT_EQ(text(out), "jkbc");
  EXPECT_THAT(source.reads, ElementsAre(ByteRange{11, 13}, ByteRange{3, 5}));
}

TEST(Slice, AccessesOnlyThePagesOfItsRanges) {
  // All other pages are inaccessible: reading one byte there raises SIGSEGV.
  const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  constexpr uint64_t kRows = 64, kEvery = 16;
  void* memory = ::mmap(nullptr, kRows * page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  for (uint64_t row = 0; row < kRows; row += kEvery) {
    std::byte* page = static_cast<std::byte*>(memory) + row * page_bytes;
    ASSERT_EQ(::mprotect(page, page_bytes, PROT_READ | PROT_WRITE), 0);
    page[1] = static_cast<std::byte>(row + 1);
  }
  const uint64_t shape[] = {kRows, page_bytes};
  for (const Index& rows : {Index{Range{0, {}, kEvery}, Range{0, 2}},
           Index{Range{-static_cast<int64_t>(kEvery), {}, -static_cast<int64_t>(kEvery)}, Range{0, 2}}}) {
    Slice slice = Slice::of(Dtype::U8, shape, rows);
    std::vector<std::byte> out(slice.size_bytes());
    slice.read({static_cast<std::byte*>(memory), kRows * page_bytes}, out);
    EXPECT_EQ(out.size(), 8u);
    EXPECT_EQ(static_cast<int>(out[1]) + static_cast<int>(out[7]), 1 + 49);
  }
  ::munmap(memory, kRows * page_bytes);
}

}  // namespace
}  // namespace depickle::safetensors
