#include "depickle/formats/safetensors/writer.h"

#include <gmock/gmock.h>

#include "depickle/base/parallel.h"
#include "depickle/formats/safetensors/file.h"
#include "tests/formats/safetensors/files.h"

namespace depickle::safetensors {
namespace {

using testing::HasSubstr;

const std::vector<uint64_t> kTwo{2}, kFour{4};
const std::vector<TensorSpec> kSpecs{{"a", Dtype::U8, kFour}, {"b", Dtype::F32, kTwo}};

TEST(Writer, WritesPiecesInAnyOrder) {
  Folder folder;
  Writer writer = Writer::create(folder / "x", plan_file(kSpecs), os::IfExists::refuse);
  writer.write(0, 2, bytes(std::string_view("cd")));
  writer.write(1, 0, bytes(std::string_view("12345678")));
  writer.write(0, 0, bytes(std::string_view("ab")));
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
  writer.commit();
  File file = File::open(folder / "x", Mode::strict);
  EXPECT_EQ(text(file.bytes(*file.header().find("a"))), "abcd");
  EXPECT_EQ(text(file.bytes(*file.header().find("b"))), "12345678");
}

TEST(Writer, WritesFromSeveralThreads) {
  Folder folder;
  const std::vector<uint64_t> shape{100'000};
  Writer writer =
      Writer::create(folder / "x", plan_file(std::vector<TensorSpec>{{"a", Dtype::U8, shape}}), os::IfExists::refuse);
  parallel_for(100, 4,
      [&](uint64_t i) { writer.write(0, i * 1000, bytes(std::string(1000, static_cast<char>('A' + i % 26)))); });
  writer.commit();
  File file = File::open(folder / "x");
  std::string_view written = text(file.bytes(file.header().entries()[0]));
  for (size_t i = 0; i < 100; ++i)
    EXPECT_EQ(written.substr(i * 1000, 1000), std::string(1000, static_cast<char>('A' + i % 26)));
}

TEST(Writer, MissingBytesAreNotCommitted) {
  Folder folder;
  {
    Writer writer = Writer::create(folder / "x", plan_file(kSpecs), os::IfExists::refuse);
    writer.write(0, 0, bytes(std::string_view("abcd")));
    writer.write(1, 0, bytes(std::string_view("1234567")));
    Error error = error_of([&] { writer.commit(); });
    EXPECT_EQ(error.code(), Code::integrity);
    EXPECT_THAT(error.what(), HasSubstr("tensor 1 is not complete (have 7 bytes, need 8)"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

TEST(Writer, BytesBeyondATensorAreRefused) {
  Folder folder;
  Writer writer = Writer::create(folder / "x", plan_file(kSpecs), os::IfExists::refuse);
  EXPECT_EQ(error_of([&] { writer.write(0, 3, bytes(std::string_view("de"))); }).code(), Code::integrity);
  EXPECT_EQ(error_of([&] { writer.write(0, UINT64_MAX, bytes(std::string_view("d"))); }).code(), Code::integrity);
  writer.write(0, 0, bytes(std::string_view("abcd")));
  EXPECT_THAT(error_of([&] { writer.write(0, 0, bytes(std::string_view("a"))); }).what(), HasSubstr("written twice"));
}

TEST(Save, WritesManySmallAndSomeLargeTensors) {
  Folder folder;
  std::vector<std::string> names, contents;
  std::vector<std::vector<uint64_t>> shapes;
  for (size_t i = 0; i < 300; ++i) {
    names.push_back("t" + std::to_string(i));
    shapes.push_back({i % 100 == 50 ? (3u << 20) + i : i * 7});
    contents.emplace_back(shapes.back()[0], static_cast<char>('a' + i % 26));
  }
  std::vector<Source> tensors;
  for (size_t i = 0; i < 300; ++i) tensors.push_back({{names[i], Dtype::U8, shapes[i]}, bytes(contents[i])});
  save(folder / "x", tensors, Metadata{{"format", "pt"}});
  File file = File::open(folder / "x", Mode::strict);
  for (size_t i = 0; i < 300; ++i) EXPECT_EQ(text(file.bytes(*file.header().find(names[i]))), contents[i]);
}

TEST(Save, ST16_bytes_that_are_not_the_tensors) {
  Folder folder;
  const Source tensor[] = {{kSpecs[1], bytes(std::string_view("1234"))}};
  EXPECT_EQ(error_of([&] { save(folder / "x", tensor); }).rule(), "ST16");
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

TEST(Save, KeepsWhatIsThereUnlessToldOtherwise) {
  Folder folder;
  folder.write("x", "old");
  EXPECT_EQ(error_of([&] { save(folder / "x", {}); }).code(), Code::io);
  EXPECT_EQ(content_of(folder / "x"), "old");
  save(folder / "x", {}, std::nullopt, os::IfExists::replace);
  EXPECT_EQ(content_of(folder / "x"), file_of("{}      "));
}

}  // namespace
}  // namespace depickle::safetensors
