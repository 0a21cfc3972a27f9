#include "depickle/formats/safetensors/file.h"

#include <gmock/gmock.h>

#include "depickle/os/mapped_file.h"
#include "tests/formats/safetensors/files.h"

namespace depickle::safetensors {
namespace {

using testing::HasSubstr;
using namespace std::string_view_literals;

const std::string kOne = "{\"a\":" + info("F32", "[1]", "[0,4]") + "}";

Error refusal_of_file(const Folder& folder, std::string_view content) {
  return error_of([&] { File::open(folder.write("model.safetensors", content)); });
}

TEST(File, GivesTheBytesWhereTheyLie) {
  Folder folder;
  File file = File::open(folder.write(
      "x", file_of("{\"a\":" + info("U8", "[2]", "[0,2]") + ",\"b\":" + info("U8", "[3]", "[2,5]") + "}") + "abcde"));
  EXPECT_EQ(text(file.bytes(*file.header().find("b"))), "cde");
  EXPECT_EQ(file.bytes(*file.header().find("a")).data(), file.source()->all().data() + file.header().data_begin());
}

TEST(File, BytesOutliveTheFileAsLongAsTheirSource) {
  Folder folder;
  std::shared_ptr<const os::MappedFile> source;
  Bytes bytes;
  {
    File file = File::open(folder.write("x", file_of("{\"a\":" + info("U8", "[2]", "[0,2]") + "}") + "ab"));
    File moved = std::move(file);
    source = moved.source();
    bytes = moved.bytes(moved.header().entries()[0]);
  }
  EXPECT_EQ(text(bytes), "ab");
}

TEST(File, ST01_shorter_than_a_length) {
  Folder folder;
  EXPECT_EQ(refusal_of_file(folder, "1234567").rule(), "ST01");
  EXPECT_THAT(
      refusal_of_file(folder, "").what(), HasSubstr("model.safetensors: [ST01] not a safetensors file: an empty file"));
}

TEST(File, ST02_headers_over_the_cap) {
  Folder folder;
  std::string content = file_of(kOne, 4);
  uint64_t length = kMaxHeaderBytes + 1;
  std::memcpy(content.data(), &length, 8);
  EXPECT_EQ(refusal_of_file(folder, content).rule(), "ST02");
  EXPECT_EQ(refusal_of_file(folder, content).code(), Code::limit);
  EXPECT_EQ(refusal_of_file(folder, "\xff\xff\xff\xff\xff\xff\xff\xff").rule(), "ST02");
}

TEST(File, ST03_headers_longer_than_the_file) {
  Folder folder;
  Error error = refusal_of_file(folder, file_of(kOne).substr(0, 20));
  EXPECT_EQ(error.rule(), "ST03");
  EXPECT_EQ(error.code(), Code::truncated);
  EXPECT_THAT(error.hint(), HasSubstr("fetch the file again"));
}

TEST(File, EveryPrefixIsRefused) {
  Folder folder;
  std::string content = file_of(kOne, 4);
  for (size_t length = 0; length < content.size(); ++length) {
    Error error = refusal_of_file(folder, content.substr(0, length));
    EXPECT_NE(error.rule(), "accepted") << length;
    EXPECT_THAT(error.what(), HasSubstr("model.safetensors: ")) << length;
  }
}

TEST(File, AGitLfsPointerIsCalledOne) {
  Folder folder;
  Error error = refusal_of_file(folder, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 548118077\n");
  EXPECT_EQ(error.message(), "not a safetensors file: a git-LFS pointer (72 bytes) to 548,118,077 bytes");
  EXPECT_EQ(error.hint(), "fetch the content first: git lfs pull --include model.safetensors");
}

TEST(File, OtherFormatsAreCalledByName) {
  Folder folder;
  auto said = [&](std::string_view content) {
    return refusal_of_file(folder, std::string(content) + std::string(40, 'x')).message();
  };
  EXPECT_THAT(said("\n <!DOCTYPE html><html>"), HasSubstr("a web page"));
  EXPECT_THAT(said("PK\x03\x04"), HasSubstr("a zip archive"));
  EXPECT_THAT(said("\x1f\x8b\x08"), HasSubstr("gzip"));
  EXPECT_THAT(said("7z\xbc\xaf\x27\x1c"), HasSubstr("7z"));
  EXPECT_THAT(said("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9"), HasSubstr("a pickle"));
  EXPECT_THAT(said("GGUF\x03\0\0\0"sv), HasSubstr("GGUF"));
  EXPECT_THAT(
      refusal_of_file(folder, "Entry not found").message(), HasSubstr("the Hub's error message \"Entry not found\""));
}

TEST(File, ALengthThatLooksLikeAPickleIsStillALength) {
  Folder folder;
  std::string header = kOne;
  header.resize(640, ' ');  // 80 02: the first bytes of a pickle of protocol 2
  EXPECT_EQ(File::open(folder.write("x", file_of(header, 4))).header().entries().size(), 1u);
  EXPECT_EQ(refusal_of_file(folder, file_of(header, 3)).rule(), "ST17");
  EXPECT_THAT(refusal_of_file(folder, file_of(header, 3)).message(), HasSubstr("the file ends too early"));
}

TEST(File, WhatIsNotAFileIsRefused) {
  Folder folder;
  EXPECT_EQ(error_of([&] { File::open(folder / "absent"); }).code(), Code::not_found);
  EXPECT_EQ(error_of([&] { File::open(folder / "."); }).code(), Code::unsupported);
}

}  // namespace
}  // namespace depickle::safetensors
