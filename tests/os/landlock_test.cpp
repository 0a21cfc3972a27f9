#include "depickle/os/landlock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>

#include <gmock/gmock.h>

namespace depickle::os {
namespace {

namespace fs = std::filesystem;

class LandlockTest : public testing::Test {
 protected:
  LandlockTest() : folder_(fs::temp_directory_path() / ("depickle-landlock-test-" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    for (const char* name : {"read", "write", "link", "none"}) {
      fs::create_directories(folder_ / name);
      std::ofstream(folder_ / name / "file") << "x";
    }
    if (landlock_version() == 0) skip_ = true;
  }
  ~LandlockTest() override { fs::remove_all(folder_); }

  /// Returns the errno of a call in a restricted process; 0 if it succeeds.
  int error_in_child(const std::function<long()>& call) const {
    const pid_t child = ::fork();
    if (child == 0) {
      restrict_files({.read = {folder_ / "read"},
          .write = {folder_ / "write", folder_ / "does not exist"},
          .write_and_link = {folder_ / "link"}});
      ::_exit(call() < 0 ? errno : 0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int open_error(const fs::path& path, int flags) const {
    return error_in_child([&] { return ::open((folder_ / path).c_str(), flags, 0600); });
  }
  std::string at(const fs::path& path) const { return (folder_ / path).string(); }

  const fs::path folder_;
  bool skip_ = false;
};

TEST_F(LandlockTest, OnlyListedFilesCanBeOpened) {
  if (skip_) GTEST_SKIP() << "this kernel has no Landlock";
  EXPECT_EQ(open_error("read/file", O_RDONLY), 0);
  EXPECT_EQ(open_error("read/file", O_WRONLY), EACCES);
  EXPECT_EQ(open_error("read/new", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(open_error("none/file", O_RDONLY), EACCES);
  EXPECT_EQ(open_error("none", O_RDONLY | O_DIRECTORY), EACCES);
  EXPECT_EQ(open_error("write/file", O_RDWR | O_TRUNC), 0);
  EXPECT_EQ(open_error("write/new", O_RDWR | O_CREAT), 0);
  EXPECT_EQ(open_error("write", O_TMPFILE | O_RDWR), 0);
  EXPECT_EQ(open_error("../..", O_RDONLY), EACCES);
}

TEST_F(LandlockTest, FilesAreRenamedAndDeletedInWritableFoldersOnly) {
  if (skip_) GTEST_SKIP() << "this kernel has no Landlock";
  EXPECT_EQ(error_in_child([&] { return ::mkdir(at("write/folder").c_str(), 0700); }), 0);
  EXPECT_EQ(error_in_child([&] { return ::rename(at("write/file").c_str(), at("write/folder/file").c_str()); }), 0);
  EXPECT_EQ(error_in_child([&] { return ::unlink(at("write/folder/file").c_str()); }), 0);
  EXPECT_EQ(error_in_child([&] { return ::unlink(at("read/file").c_str()); }), EACCES);
  EXPECT_EQ(error_in_child([&] { return ::rmdir(at("write").c_str()); }), EACCES) << "the folder itself stays";
}

TEST_F(LandlockTest, ALinkLeadsNowhereElse) {
  if (skip_) GTEST_SKIP() << "this kernel has no Landlock";
  EXPECT_EQ(error_in_child([&] { return ::symlink(at("none/file").c_str(), at("write/l").c_str()); }), EACCES);
  EXPECT_EQ(error_in_child([&] { return ::symlink(at("none/file").c_str(), at("link/l").c_str()); }), 0);
  EXPECT_EQ(open_error("link/l", O_RDONLY), EACCES);
  EXPECT_NE(error_in_child([&] { return ::link(at("none/file").c_str(), at("write/hard").c_str()); }), 0);
  EXPECT_EQ(error_in_child([&] { return ::mkfifo(at("write/fifo").c_str(), 0600); }), EACCES);
}

TEST_F(LandlockTest, ProcessesOutsideGetNoSignals) {
  if (landlock_version() < 6) GTEST_SKIP() << "this kernel's Landlock does not limit signals";
  EXPECT_EQ(error_in_child([] { return ::kill(::getppid(), 0); }), EPERM);
}

TEST_F(LandlockTest, NoPortCanBeOpened) {
  if (landlock_version() < 4) GTEST_SKIP() << "this kernel's Landlock does not limit ports";
  EXPECT_EQ(error_in_child([] {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }),
      EACCES);
}

}  // namespace
}  // namespace depickle::os
