// Header::read on files.
#include <gmock/gmock.h>

#include "depickle/os/mapped_file.h"
#include "tests/formats/safetensors/files.h"

namespace depickle::safetensors {
namespace {

using testing::HasSubstr;
using namespace std::string_view_literals;

Header read(const std::filesystem::path& path) { return Header::read(*os::MappedFile::open(path)); }

Error refusal_of_file(const Folder& folder, std::string_view content) {
  return error_of([&] { read(folder.write("model.safetensors", content)); });
}

TEST(File, ContentIsNotCopied) {
  Folder folder;
  const auto file = os::MappedFile::open(folder.write(
      "x", file_of("{\"a\":" + info("U8", "[2]", "[0,2]") + ",\"b\":" + info("U8", "[3]", "[2,5]") + "}") + "abcde"));
  const Header header = Header::read(*file);
  EXPECT_EQ(text(content_of(*file, header, *header.find("b"))), "cde");
  EXPECT_EQ(content_of(*file, header, *header.find("a")).data(), file->all().data() + header.data_begin());
}

TEST(File, ContentOutlivesTheHeader) {
  Folder folder;
  const auto file =
      os::MappedFile::open(folder.write("x", file_of("{\"a\":" + info("U8", "[2]", "[0,2]") + "}") + "ab"));
  Bytes bytes;
  {
    Header header = Header::read(*file);
    Header moved = std::move(header);
    bytes = content_of(*file, moved, moved.entries()[0]);
  }
  EXPECT_EQ(text(bytes), "ab");
}

TEST(File, ST01_files_shorter_than_a_length) {
  Folder folder;
  EXPECT_EQ(refusal_of_file(folder, "1234567").rule(), "ST01");
  EXPECT_THAT(
      refusal_of_file(folder, "").what(), HasSubstr("model.safetensors: [ST01] not a safetensors file: an empty file"));
}

TEST(File, ST02_headers_over_the_limit) {
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

TEST(File, NamesAGitLfsPointer) {
  Folder folder;
  Error error = refusal_of_file(folder, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 548118077\n");
  EXPECT_EQ(error.message(), "not a safetensors file: a git-LFS pointer (72 bytes) to 548,118,077 bytes");
  EXPECT_EQ(error.hint(), "fetch the content first: git lfs pull --include model.safetensors");
}

TEST(File, NamesOtherFormats) {
  Folder folder;
  auto message_of = [&](std::string_view content) {
    return refusal_of_file(folder, std::string(content) + std::string(40, 'x')).message();
  };
  EXPECT_THAT(message_of("\n <!DOCTYPE html><html>"), HasSubstr("a web page"));
  EXPECT_THAT(message_of("PK\x03\x04"), HasSubstr("a zip archive"));
  EXPECT_THAT(message_of("\x1f\x8b\x08"), HasSubstr("gzip"));
  EXPECT_THAT(message_of("7z\xbc\xaf\x27\x1c"), HasSubstr("7z"));
  EXPECT_THAT(message_of("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9"), HasSubstr("a pickle"));
  EXPECT_THAT(message_of("GGUF\x03\0\0\0"sv), HasSubstr("GGUF"));
  EXPECT_THAT(
      refusal_of_file(folder, "Entry not found").message(), HasSubstr("the Hub's error message \"Entry not found\""));
}

TEST(File, ALengthThatEqualsTheMagicOfAPickleIsALength) {
  Folder folder;
  std::string header = kOne;
  header.resize(640, ' ');  // 80 02: the first bytes of a pickle of protocol 2
  EXPECT_EQ(read(folder.write("x", file_of(header, 4))).entries().size(), 1u);
  EXPECT_EQ(refusal_of_file(folder, file_of(header, 4).substr(0, 600)).rule(), "ST03");
  EXPECT_THAT(refusal_of_file(folder, file_of(header, 4).substr(0, 600)).message(), HasSubstr("longer than the file"));
  EXPECT_EQ(refusal_of_file(folder, file_of(header, 3)).rule(), "ST17");
  EXPECT_THAT(refusal_of_file(folder, file_of(header, 3)).message(), HasSubstr("the file ends too early"));
}

TEST(File, RefusesMissingFilesAndFolders) {
  Folder folder;
  EXPECT_EQ(error_of([&] { read(folder / "absent"); }).code(), Code::not_found);
  EXPECT_EQ(error_of([&] { read(folder / "."); }).code(), Code::unsupported);
}

}  // namespace
}  // namespace depickle::safetensors
