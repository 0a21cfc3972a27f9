#include "depickle/os/atomic_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <csignal>

#include <gmock/gmock.h>

#include "tests/error_of.h"
#include "tests/temporary_folder.h"

namespace depickle::os {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

std::string write_refusal(const fs::path& target, IfExists if_exists) {
  return refusal([&] { write_atomically(target, "new", if_exists); });
}

TEST(AtomicFile, AppearsAtTheCommit) {
  Folder folder;
  AtomicFile file(folder / "out", 8, IfExists::refuse);
  file.write(4, bytes("efgh"));
  file.write(0, bytes("abcd"));
  EXPECT_FALSE(fs::exists(folder / "out"));
  EXPECT_EQ(file.temporary_path(), folder / ".out.depickle-tmp");
  EXPECT_EQ(content_of(file.temporary_path()), "abcdefgh");
  file.commit();
  EXPECT_EQ(content_of(folder / "out"), "abcdefgh");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, IsRemovedWithoutACommit) {
  Folder folder;
  {
    AtomicFile(folder / "out", 1 << 20, IfExists::refuse).write(0, bytes("first half"));
  }
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(AtomicFile, KeepsTheOldFileWithoutACommit) {
  Folder folder;
  fs::path target = folder.write("out", "old");
  {
    AtomicFile(target, 0, IfExists::replace).write(0, bytes("first half"));
  }
  EXPECT_EQ(content_of(target), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, RefusesATargetThatExists) {
  Folder folder;
  fs::path target = folder.write("out", "old");
  EXPECT_EQ(write_refusal(target, IfExists::refuse), target.string() + ": already exists");
  EXPECT_EQ(error_of([&] { write_atomically(target, "", IfExists::refuse); }).reason(), Reason::target_exists);
  EXPECT_EQ(content_of(target), "old");
  write_atomically(target, "new", IfExists::replace);
  EXPECT_EQ(content_of(target), "new");
}

TEST(AtomicFile, RefusesATargetThatAppearsBeforeTheCommit) {
  Folder folder;
  AtomicFile file(folder / "out", 0, IfExists::refuse);
  folder.write("out", "another writer's");
  EXPECT_THAT(refusal([&] { file.commit(); }), HasSubstr("already exists"));
  EXPECT_EQ(content_of(folder / "out"), "another writer's");
}

TEST(AtomicFile, KeepsASymbolicLinkAndReplacesItsTarget) {
  Folder folder;
  folder.write("store/real", "old");
  fs::create_symlink("store/real", folder / "link");
  write_atomically(folder / "link", "new", IfExists::replace);
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(content_of(folder / "store/real"), "new");
  EXPECT_THAT(write_refusal(folder / "link", IfExists::refuse), HasSubstr("real: already exists"));
}

TEST(AtomicFile, FollowsALinkToAMissingFile) {
  Folder folder;
  fs::create_symlink("real", folder / "link");
  write_atomically(folder / "link", "new", IfExists::refuse);
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(content_of(folder / "real"), "new");
}

TEST(AtomicFile, AppliesTheUmask) {
  Folder folder;
  mode_t before = ::umask(027);
  write_atomically(folder / "out", "new", IfExists::refuse);
  ::umask(before);
  struct stat status;
  ASSERT_EQ(::stat((folder / "out").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(AtomicFile, RemovesTheTemporaryFileOfAKilledProcess) {
  Folder folder;
  folder.write(".out.depickle-tmp", "first half");
  write_atomically(folder / "out", "new", IfExists::refuse);
  EXPECT_EQ(content_of(folder / "out"), "new");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, DoesNotFollowALinkAtTheTemporaryPath) {
  Folder folder;
  folder.write("precious", "kept");
  fs::create_symlink("precious", folder / ".out.depickle-tmp");
  write_atomically(folder / "out", "new", IfExists::refuse);
  EXPECT_EQ(content_of(folder / "precious"), "kept");
}

TEST(AtomicFile, RefusesATargetThatAnotherProcessWrites) {
  Folder folder;
  AtomicFile first(folder / "out", 0, IfExists::replace);
  first.write(0, bytes("first"));
  EXPECT_EQ(write_refusal(folder / "out", IfExists::replace),
      (folder / "out").string() + ": another process is writing this file");
  first.commit();
  EXPECT_EQ(content_of(folder / "out"), "first");
}

// The target of each kind that is not a regular file, and links to it.
class IrregularTarget : public testing::TestWithParam<IfExists> {
 protected:
  IrregularTarget() {
    ::mkfifo((folder / "fifo").c_str(), 0600);
    make_socket();
    fs::create_symlink("fifo", folder / "link");
    fs::create_symlink("link", folder / "link to a link");
  }

  void make_socket() const {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    (folder / "socket").string().copy(address.sun_path, sizeof address.sun_path - 1);
    const FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }

  Folder folder;
};

TEST_P(IrregularTarget, IsRefusedBeforeAnythingIsWritten) {
  for (const auto& [name, kind] : {std::pair("fifo", "a FIFO"), std::pair("socket", "a socket"),
           std::pair("link", "a FIFO"), std::pair("link to a link", "a FIFO")}) {
    EXPECT_EQ(refusal([&] { AtomicFile(folder / name, 1, GetParam()); }),
        (folder / name).string() + ": is " + kind + ", not a regular file");
    EXPECT_EQ(folder.entries(), 4u);
  }
  EXPECT_TRUE(fs::is_fifo(folder / "fifo"));
  EXPECT_TRUE(fs::is_socket(folder / "socket"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
}
INSTANTIATE_TEST_SUITE_P(AtomicFile, IrregularTarget, testing::Values(IfExists::refuse, IfExists::replace));

TEST(AtomicFile, DoesNotReplaceAFifoThatAppearsBeforeTheCommit) {
  Folder folder;
  AtomicFile file(folder / "out", 0, IfExists::replace);
  ::mkfifo((folder / "out").c_str(), 0600);
  EXPECT_THAT(refusal([&] { file.commit(); }), HasSubstr("out: is a FIFO, not a regular file"));
  EXPECT_TRUE(fs::is_fifo(folder / "out"));
}

TEST(AtomicFile, RefusesALinkToAnOpenFileWithoutAName) {
  Folder folder;
  const FileDescriptor open(::open(folder.write("gone", "old").c_str(), O_RDWR));
  fs::remove(folder / "gone");
  const fs::path link = "/proc/self/fd/" + std::to_string(open.get());
  EXPECT_EQ(write_refusal(link, IfExists::replace), link.string() + ": is a link to an open file without a name");
  EXPECT_EQ(folder.entries(), 0u);
}

// The temporary file of a process may be removed or replaced only by a program that does not lock it.
TEST(AtomicFile, DoesNotPublishTheTemporaryFileOfAnotherProgram) {
  Folder folder;
  {
    AtomicFile file(folder / "out", 0, IfExists::replace);
    fs::remove(file.temporary_path());
    folder.write(".out.depickle-tmp", "the other's first half");
    EXPECT_THAT(refusal([&] { file.commit(); }), HasSubstr("out: the temporary file was removed or replaced"));
  }
  EXPECT_FALSE(fs::exists(folder / "out"));
  EXPECT_EQ(content_of(folder / ".out.depickle-tmp"), "the other's first half");
}

TEST(AtomicFile, WritersOfTheSameTargetHaveTheirOwnTemporaryFiles) {
  Folder folder;
  AtomicFile first(folder / "out", 0, IfExists::replace, Writers::many);
  AtomicFile second(folder / "out", 0, IfExists::replace, Writers::many);
  first.write(0, bytes("first"));
  second.write(0, bytes("second"));
  second.commit();
  first.commit();
  EXPECT_EQ(content_of(folder / "out"), "first");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, ErrorsNameTheTarget) {
  Folder folder;
  fs::create_directory(folder / "taken");
  for (IfExists if_exists : {IfExists::refuse, IfExists::replace})
    EXPECT_THAT(write_refusal(folder / "taken", if_exists), HasSubstr("taken: is a folder"));
  EXPECT_THAT(
      write_refusal(folder / "missing/out", IfExists::refuse), HasSubstr("cannot write: No such file or directory"));
}

TEST(AtomicFile, DetectsAFullDiskBeforeAnyWork) {
  Folder folder;
  Error error = error_of([&] { AtomicFile(folder / "out", uint64_t{1} << 50, IfExists::refuse); });
  EXPECT_THAT(error.message(), StartsWith("not enough space on the disk (have "));
  EXPECT_THAT(error.message(), HasSubstr(", need 1,125,899,906,842,624)"));
  EXPECT_EQ(error.code(), Code::io);
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(AtomicFile, AFailedWriteIsAnErrorAndRemovesTheFile) {
  Folder folder;
  auto ignore = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit before;
  ::getrlimit(RLIMIT_FSIZE, &before);
  struct rlimit small = before;
  small.rlim_cur = 4096;
  ::setrlimit(RLIMIT_FSIZE, &small);
  std::string text = refusal([&] {
    AtomicFile file(folder / "out", 0, IfExists::refuse);
    file.write(0, bytes(std::string(8192, 'x')));
    file.commit();
  });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, ignore);
  EXPECT_EQ(text, (folder / "out").string() + ": cannot write: File too large");
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(AtomicFile, AMovedFromFileRemovesNothing) {
  Folder folder;
  {
    AtomicFile first(folder / "out", 0, IfExists::refuse);
    AtomicFile second(std::move(first));
    second.write(0, bytes("x"));
    EXPECT_EQ(folder.entries(), 1u);
  }
  EXPECT_EQ(folder.entries(), 0u);
}

}  // namespace
}  // namespace depickle::os
