// Files that are written by plan_file and os::AtomicFile.
#include <algorithm>

#include <gmock/gmock.h>

#include "depickle/base/parallel.h"
#include "depickle/base/tensor.h"
#include "depickle/os/mapped_file.h"
#include "tests/formats/safetensors/files.h"

namespace depickle::safetensors {
namespace {

const std::vector<uint64_t> kTwoElements{2}, kFourElements{4};
const std::vector<TensorSpec> kSpecs{{"a", Dtype::U8, kFourElements}, {"b", Dtype::F32, kTwoElements}};

const Place& place_of(const FilePlan& plan, uint32_t spec) {
  return *std::ranges::find(plan.places, spec, &Place::spec);
}

std::string_view tensor_text(const ByteSource& file, const Header& header, std::string_view name) {
  return text(content_of(file, header, *header.find(name)));
}

TEST(WrittenFile, PartsCanBeWrittenInAnyOrder) {
  Folder folder;
  const FilePlan plan = plan_file(kSpecs);
  os::AtomicFile file(folder / "x", plan.file_bytes, os::IfExists::refuse);
  file.write(place_of(plan, 0).begin + 2, bytes(std::string_view("cd")));
  file.write(place_of(plan, 1).begin, bytes(std::string_view("12345678")));
  file.write(place_of(plan, 0).begin, bytes(std::string_view("ab")));
  file.write(0, bytes(plan.head));
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
  file.commit();
  const auto written = os::MappedFile::open(folder / "x");
  const Header header = Header::read(*written, Mode::strict);
  EXPECT_EQ(tensor_text(*written, header, "a"), "abcd");
  EXPECT_EQ(tensor_text(*written, header, "b"), "12345678");
}

TEST(WrittenFile, SeveralThreadsCanWrite) {
  Folder folder;
  const std::vector<uint64_t> shape{100'000};
  const FilePlan plan = plan_file(std::vector<TensorSpec>{{"a", Dtype::U8, shape}});
  os::AtomicFile file(folder / "x", plan.file_bytes, os::IfExists::refuse);
  file.write(0, bytes(plan.head));
  parallel_for(100, 4, [&](uint64_t i) {
    file.write(plan.places[0].begin + i * 1000, bytes(std::string(1000, static_cast<char>('A' + i % 26))));
  });
  file.commit();
  const auto written = os::MappedFile::open(folder / "x");
  const Header header = Header::read(*written);
  for (size_t i = 0; i < 100; ++i)
    EXPECT_EQ(
        tensor_text(*written, header, "a").substr(i * 1000, 1000), std::string(1000, static_cast<char>('A' + i % 26)));
}

TEST(WrittenFile, AnUncommittedFileIsRemoved) {
  Folder folder;
  {
    const FilePlan plan = plan_file(kSpecs);
    os::AtomicFile file(folder / "x", plan.file_bytes, os::IfExists::refuse);
    file.write(0, bytes(plan.head));
    file.write(place_of(plan, 1).begin, bytes(std::string_view("1234567")));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

TEST(WrittenFile, EveryByteBelongsToTheHeadOrToOneTensor) {
  std::vector<TensorSpec> specs = kSpecs;
  specs.insert(specs.end(), {{"c", Dtype::BF16, kTwoElements}, {"d", Dtype::U8, {}}, {"e", Dtype::U64, kFourElements}});
  const FilePlan plan = plan_file(specs);
  uint64_t next = plan.head.size();
  for (const Place& place : plan.places) {
    EXPECT_EQ(place.begin, next);
    EXPECT_EQ(place.size_bytes(), tensor_bytes(specs[place.spec].dtype, specs[place.spec].shape));
    next = place.end;
  }
  EXPECT_EQ(next, plan.file_bytes);
}

TEST(SavedFile, ContainsManySmallAndSomeLargeTensors) {
  Folder folder;
  std::vector<std::string> names, contents;
  std::vector<std::vector<uint64_t>> shapes;
  for (size_t i = 0; i < 300; ++i) {
    names.push_back("t" + std::to_string(i));
    shapes.push_back({i % 100 == 50 ? (3u << 20) + i : i * 7});
    contents.emplace_back(shapes.back()[0], static_cast<char>('a' + i % 26));
  }
  std::vector<TensorContent> tensors;
  for (size_t i = 0; i < 300; ++i) tensors.push_back({{names[i], Dtype::U8, shapes[i]}, bytes(contents[i])});
  save(folder / "x", tensors, Metadata{{"format", "pt"}});
  const auto written = os::MappedFile::open(folder / "x");
  const Header header = Header::read(*written, Mode::strict);
  for (size_t i = 0; i < 300; ++i) EXPECT_EQ(tensor_text(*written, header, names[i]), contents[i]);
}

TEST(SavedFile, ST16_content_of_the_wrong_size_is_refused) {
  Folder folder;
  const TensorContent tensor[] = {{kSpecs[1], bytes(std::string_view("1234"))}};
  EXPECT_EQ(error_of([&] { save(folder / "x", tensor); }).rule(), "ST16");
  EXPECT_STREQ(error_of([&] { check_content_size(kSpecs[1], 4); }).what(),
      "tensor \"b\": [ST16] the content has 4 bytes, but shape [2] of F32 needs 8");
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

TEST(SavedFile, ReplacesAFileOnlyIfAsked) {
  Folder folder;
  folder.write("x", "old");
  EXPECT_EQ(error_of([&] { save(folder / "x", {}); }).code(), Code::io);
  EXPECT_EQ(depickle::content_of(folder / "x"), "old");
  save(folder / "x", {}, std::nullopt, os::IfExists::replace);
  EXPECT_EQ(depickle::content_of(folder / "x"), file_of("{}      "));
}

}  // namespace
}  // namespace depickle::safetensors
