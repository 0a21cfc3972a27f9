#include "depickle/os/filesystem.h"

#include <cerrno>

#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "tests/temporary_folder.h"

namespace depickle::os {
namespace {

namespace fs = std::filesystem;

TEST(Checked, ReturnsTheResult) {
  Folder folder;
  const fs::path file = folder.write("f", "abc");
  EXPECT_EQ(checked("cannot stat", file, [&](auto& error) { return fs::file_size(file, error); }), 3u);
  checked(
      "cannot create the folder", folder / "a/b", [&](auto& error) { fs::create_directories(folder / "a/b", error); });
  EXPECT_TRUE(fs::is_directory(folder / "a/b"));
}

TEST(Checked, ThrowsAnErrorWithTheErrno) {
  Folder folder;
  const fs::path missing = folder / "missing", file = folder.write("f", "");
  Error error = error_of(
      [&] { checked("cannot read the link", missing, [&](auto& e) { return fs::read_symlink(missing, e); }); });
  EXPECT_EQ(error.what(), missing.string() + ": cannot read the link: No such file or directory");
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_EQ(error.system_errno(), ENOENT);
  error = error_of(
      [&] { checked("cannot create the folder", file, [&](auto& e) { fs::create_directories(file / "x", e); }); });
  EXPECT_EQ(error.system_errno(), ENOTDIR);
}

}  // namespace
}  // namespace depickle::os
