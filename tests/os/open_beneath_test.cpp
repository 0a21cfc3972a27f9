#include "depickle/os/open_beneath.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "tests/error_of.h"
#include "tests/temporary_folder.h"

namespace depickle::os {
namespace {

using Open = FileDescriptor (*)(int, const std::filesystem::path&, int, const std::string&);

class OpenBeneath : public ::testing::TestWithParam<Open> {
 protected:
  OpenBeneath() {
    folder_.write("top/sub/file", "inside");
    folder_.write("outside", "outside");
    for (const char* link : {"top/to-file", "top/sub/to-file"})
      std::filesystem::create_symlink(folder_ / "outside", folder_ / link);
    std::filesystem::create_directory_symlink(folder_.path(), folder_ / "top/to-folder");
    top_ = open_file(folder_ / "top", O_PATH | O_DIRECTORY);
  }
  // Returns the content, or the error.
  std::string opened(const std::filesystem::path& path) {
    std::string content(20, '\0');
    const Error error = error_of([&] {
      const FileDescriptor file = GetParam()(top_.get(), path, O_RDONLY, path);
      content.resize(read_all(file.get(), std::as_writable_bytes(std::span(content)), path));
    });
    return error.rule() == "accepted" ? content : "error";
  }

  Folder folder_;
  FileDescriptor top_;
};

TEST_P(OpenBeneath, OpensFilesBelowTheFolder) { EXPECT_EQ(opened("sub/file"), "inside"); }

TEST_P(OpenBeneath, NeverLeavesTheFolder) {
  for (const std::filesystem::path path : {"../outside", "sub/../../outside", "/etc/hostname", "/proc/self/mem",
           "to-file", "sub/to-file", "to-folder/outside", "gone", ""})
    EXPECT_EQ(opened(path), "error") << path;
}

INSTANTIATE_TEST_SUITE_P(, OpenBeneath, ::testing::Values(&open_beneath, &open_beneath_by_component));

}  // namespace
}  // namespace depickle::os
