#include "depickle/convert/checked_write.h"

#include "depickle/os/atomic_file.h"

#include <gmock/gmock.h>

#include "depickle/base/error.h"
#include "depickle/base/sha256.h"
#include "depickle/convert/write.h"
#include "depickle/os/mapped_file.h"
#include "tests/convert/made.h"

namespace depickle::convert {
namespace {

using testing::HasSubstr;

// Tensors of every layout, smaller and larger than a block.
Weights mixed() {
  Made made(24 << 20);
  made.add("big", Dtype::F32, {1 << 20, 5})
      .add("tied", Dtype::F32, {1 << 20, 5})
      .add("transposed", Dtype::BF16, {1500, 1300}, {1, 1500});
  made.add("expanded", Dtype::F32, {3, 100'000}, {0, 1}, 12)
      .add("scalar", Dtype::I64, {}, {}, 8)
      .add("empty", Dtype::F16, {0, 3});
  for (int i = 0; i < 300; ++i)
    made.add("small." + std::to_string(i), Dtype::F32, {7, 11},
        i % 2 ? std::vector<uint64_t>{1, 7} : std::vector<uint64_t>{}, 4 * i);
  made.add_tensor("swapped", {.dtype = Dtype::F64, .swap = true}, {1000})
      .add_tensor("conjugate", {.dtype = Dtype::C64, .conjugate = true}, {400'000});
  return made.build();
}

// Returns the head and the logical bytes of every planned tensor.
std::string expected_bytes(const ConversionPlan& plan, const Weights& source) {
  std::string out = plan.head;
  for (const TensorPlacement& placed : plan.tensors) {
    const Tensor& tensor = source.tensors()[placed.tensor];
    std::vector<std::byte> logical(tensor.size_bytes);
    source.read(tensor, 0, logical);
    out += text(logical);
  }
  return out;
}

TEST(Write, The_file_contains_every_tensor_after_the_head) {
  Folder folder;
  Weights source = mixed();
  ConversionPlan planned = plan_conversion(source);
  for (unsigned threads : {1u, 2u, 5u}) {
    os::AtomicFile file(folder / "x.safetensors", planned.file_bytes, os::IfExists::replace);
    file.write(0, bytes(planned.head));
    write_tensors(planned, source, file, {.threads = threads});
    EXPECT_TRUE(content_of(file.temporary_path()) == expected_bytes(planned, source)) << threads << " threads";
  }
}

TEST(Write, Progress_reaches_the_total_and_can_cancel) {
  Folder folder;
  Weights source = mixed();
  ConversionPlan planned = plan_conversion(source);
  uint64_t done = 0;
  os::AtomicFile file(folder / "x.safetensors", planned.file_bytes, os::IfExists::refuse);
  write_tensors(planned, source, file,
      {.threads = 2, .progress = [&](const Step& step) { done = step.done_bytes; }, .file = "x"});
  EXPECT_EQ(done, planned.tensor_bytes);
  EXPECT_THROW(
      write_tensors(planned, source, file,
          {.threads = 2, .progress = [](const Step&) { throw Error(Code::cancelled, "", "stop"); }, .file = "x"}),
      Error);
}

TEST(CheckedWrite, All_tensors_are_compared_including_tied_names) {
  Folder folder;
  Weights source = mixed();
  ConversionPlan planned = plan_conversion(source);
  os::AtomicFile file(folder / "x.safetensors", planned.file_bytes, os::IfExists::refuse);
  CheckedWrite result = write_checked(planned, source, file);
  EXPECT_EQ(result.comparison.identical, source.tensors().size());
  ASSERT_EQ(result.comparison.tied.size(), 1u);
  EXPECT_EQ(result.comparison.tied[0].name, "tied");
  EXPECT_FALSE(std::filesystem::exists(folder / "x.safetensors")) << "commit() creates the name";
  file.commit();
  EXPECT_TRUE(compare(source, weights::open(folder / "x.safetensors")).is_identical());
}

TEST(CheckedWrite, Digests_match_the_bytes) {
  Folder folder;
  Weights source = mixed();
  ConversionPlan planned = plan_conversion(source);
  os::AtomicFile file(folder / "x.safetensors", planned.file_bytes, os::IfExists::refuse);
  Digests digests = write_checked(planned, source, file, {.threads = 2, .digests = true}).digests;
  const std::string written = content_of(file.temporary_path());
  EXPECT_EQ(digests.target.text(), sha256_hex(bytes(written)));
  ASSERT_EQ(digests.tensors.size(), planned.tensors.size());
  for (size_t i = 0; i < planned.tensors.size(); ++i) {
    const TensorPlacement& placed = planned.tensors[i];
    EXPECT_EQ(digests.tensors[i].text(),
        sha256_hex(bytes(std::string_view(written).substr(placed.begin, placed.end - placed.begin))));
  }
}

// A source whose last byte changes after the first read.
class ChangingSource final : public ByteSource {
 public:
  explicit ChangingSource(uint64_t size_bytes) : ByteSource("changing"), first_(size_bytes), later_(size_bytes) {
    later_.back() = std::byte{1};
  }
  uint64_t size_bytes() const noexcept override { return first_.size(); }

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override {
    return Bytes(reads_++ == 0 ? first_ : later_).subspan(offset, length);
  }
  std::vector<std::byte> first_, later_;
  mutable std::atomic<int> reads_ = 0;
};

TEST(CheckedWrite, A_differing_bit_is_an_error) {
  Folder folder;
  constexpr uint64_t kFloats = 1000;
  weights::Builder builder(detect::FileKind::zip);
  const uint32_t storage = builder.add_storage(
      {.key = "0", .source = std::make_shared<ChangingSource>(4 * kFloats), .size_bytes = 4 * kFloats});
  const uint64_t shape[] = {kFloats};
  builder.add({.name = "w", .shape = shape, .size_bytes = 4 * kFloats, .storage = storage, .dtype = Dtype::F32});
  const Weights source = std::move(builder).build();
  ConversionPlan planned = plan_conversion(source);
  os::AtomicFile file(folder / "x.safetensors", planned.file_bytes, os::IfExists::refuse);
  Error error = error_of([&] { write_checked(planned, source, file); });
  EXPECT_EQ(error.code(), Code::integrity);
  EXPECT_THAT(error.what(),
      HasSubstr("tensor \"w\": element 999 is 0x01000000 in the source and 0x00000000 in the written file"));
}

TEST(CheckedWrite, A_plan_that_differs_from_its_header_is_an_error) {
  Folder folder;
  Made made;
  const Weights source = made.add("a", Dtype::F32, {8}).add("b", Dtype::F32, {8}, {}, 64).build();
  ConversionPlan planned = plan_conversion(source);
  std::swap(planned.tensors[0].tensor, planned.tensors[1].tensor);
  os::AtomicFile file(folder / "x.safetensors", planned.file_bytes, os::IfExists::refuse);
  EXPECT_THAT(error_of([&] { write_checked(planned, source, file); }).what(), HasSubstr("tensor \"b\" is not at byte"));
}

TEST(CheckedWrite, A_source_that_changes_during_the_write_is_an_error) {
  Folder folder;
  put(folder / "source", std::string(4096, 'x'));
  auto mapped = os::MappedFile::open(folder / "source");
  Made made;
  made.add("w", Dtype::F32, {8}).builder().file(mapped);
  Weights source = made.build();
  put(folder / "source", std::string(4095, 'y'));
  ConversionPlan planned = plan_conversion(source);
  os::AtomicFile file(folder / "x.safetensors", planned.file_bytes, os::IfExists::refuse);
  const Error error = error_of([&] { write_checked(planned, source, file); });
  EXPECT_EQ(error.code(), Code::integrity);
  EXPECT_THAT(error.what(), HasSubstr("changed while it was read"));
}

TEST(CheckedWrite, Cancelling_leaves_no_file) {
  Folder folder;
  Weights source = mixed();
  ConversionPlan planned = plan_conversion(source);
  for (std::string_view phase : {"write", "compare", "hash"}) {
    os::AtomicFile file(folder / "x.safetensors", planned.file_bytes, os::IfExists::refuse);
    Progress stop = [&](const Step& step) {
      if (step.phase == phase) throw Error(Code::cancelled, "", "stop");
    };
    EXPECT_THROW(
        write_checked(planned, source, file, {.threads = 2, .progress = stop, .file = "x", .digests = true}), Error)
        << phase;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace depickle::convert
