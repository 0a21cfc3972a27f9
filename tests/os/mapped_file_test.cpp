#include "depickle/os/mapped_file.h"

#include <fstream>

#include <gmock/gmock.h>

#include "tests/error_of.h"
#include "tests/temporary_folder.h"

namespace depickle::os {
namespace {

using testing::HasSubstr;

TEST(MappedFile, ReadsAFile) {
  Folder folder;
  auto file = MappedFile::open(folder.write("f", "content"));
  EXPECT_EQ(text(file->all()), "content");
  EXPECT_EQ(file->name(), (folder / "f").string());
  EXPECT_TRUE(file->is_file());
  EXPECT_NO_THROW(file->check_unchanged());
}

TEST(MappedFile, AnEmptyFileHasNoBytes) {
  Folder folder;
  auto file = MappedFile::open(folder.write("f", ""));
  EXPECT_EQ(file->size_bytes(), 0u);
  EXPECT_TRUE(file->all().empty());
}

TEST(MappedFile, ErrorsNameTheFile) {
  Folder folder;
  EXPECT_EQ(refusal([&] { MappedFile::open(folder / "no"); }),
      (folder / "no").string() + ": cannot open: No such file or directory");
  EXPECT_EQ(error_of([&] { MappedFile::open(folder.path()); }).code(), Code::unsupported);
  EXPECT_THAT(refusal([&] { MappedFile::open("/dev/null"); }), HasSubstr("is not a regular file"));
}

TEST(MappedFile, DetectsAChangedFile) {
  Folder folder;
  auto file = MappedFile::open(folder.write("f", "content"));
  std::ofstream(folder / "f", std::ios::app) << "!";
  EXPECT_EQ(error_of([&] { file->check_unchanged(); }).code(), Code::integrity);
}

}  // namespace
}  // namespace depickle::os
