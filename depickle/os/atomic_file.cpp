#include "depickle/os/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"

namespace depickle::os {
namespace {

namespace fs = std::filesystem;

// The file that writing to `target` would change: links followed to the last one, which need not exist.
fs::path resolve_links(fs::path target) {
  std::error_code ignored;
  for (int hops = 0; hops < 40 && fs::is_symlink(target, ignored); ++hops) {
    fs::path next = fs::read_symlink(target, ignored);
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return target;
}

fs::path sibling_of(const fs::path& target, Writers writers) {
  static std::atomic<unsigned> number = 0;
  fs::path name = ".";
  name += target.filename();
  if (writers == Writers::many) name += fmt::format(".{}-{}", ::getpid(), number++);
  name += ".depickle-tmp";
  return target.parent_path() / name;
}

Error exists_already(const fs::path& target) {
  return Error(Code::io, Reason::target_exists, "already exists", Where::in(target)).with_errno(EEXIST);
}

// Removes what a killed process left; refuses where a living one is at work.
void clear_leftover(const fs::path& temporary, const fs::path& target) {
  int fd = ::open(temporary.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ELOOP) ::unlink(temporary.c_str());
    return;
  }
  bool busy = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (!busy) ::unlink(temporary.c_str());
  ::close(fd);
  if (busy)
    throw Error(
        Code::io, Reason::target_busy, "another process is writing this file", Where::in(target), "wait for it to end");
}

void reserve(int fd, uint64_t size_bytes, const fs::path& target) {
  if (size_bytes == 0) return;
  if (::fallocate(fd, 0, 0, static_cast<off_t>(size_bytes)) == 0) return;
  int error_number = errno;
  struct statvfs disk{};
  bool known = ::fstatvfs(fd, &disk) == 0;
  uint64_t free_bytes = known ? disk.f_bavail * static_cast<uint64_t>(disk.f_frsize) : 0;
  if (error_number == ENOSPC || error_number == EFBIG || error_number == EDQUOT || (known && free_bytes < size_bytes)) {
    throw Error(Code::io, Reason::no_space,
        fmt::format("not enough space on the disk (have {} bytes, need {})", grouped(free_bytes), grouped(size_bytes)),
        Where::in(target), "free some space, or write to another disk");
  }
  // A file system without fallocate: the writes will tell whether there is space.
  if (::ftruncate(fd, static_cast<off_t>(size_bytes)) != 0) throw system_error(errno, "cannot write", target);
}

}  // namespace

AtomicFile::Place::Place(const fs::path& wanted, IfExists if_exists_, Writers writers)
    : target(resolve_links(wanted)),
      temporary(sibling_of(target, writers)),
      if_exists(if_exists_) {}

int AtomicFile::Place::create() const {
  std::error_code ignored;
  if (if_exists == IfExists::refuse && fs::exists(target, ignored)) throw exists_already(target);
  if (fs::is_directory(target, ignored))
    throw Error(Code::io, Reason::target_is_folder, "is a folder", Where::in(target), "name a file");
  clear_leftover(temporary, target);
  const int fd = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) throw system_error(errno, "cannot write", target);
  return fd;
}

AtomicFile::AtomicFile(const fs::path& target, uint64_t size_bytes, IfExists if_exists, Writers writers)
    : AtomicFile(Place(target, if_exists, writers)) {
  ::flock(descriptor(), LOCK_EX | LOCK_NB);
  reserve(descriptor(), size_bytes, target_);
}

AtomicFile::AtomicFile(Place place)
    : OutputFile(place.create(), place.target),
      target_(std::move(place.target)),
      temporary_(std::move(place.temporary)),
      if_exists_(place.if_exists) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept = default;

AtomicFile::~AtomicFile() {
  if (descriptor() >= 0) ::unlink(temporary_.c_str());
}

void AtomicFile::commit(Durable durable) {
  if (durable == Durable::yes) sync();
  unsigned flags = if_exists_ == IfExists::refuse ? RENAME_NOREPLACE : 0;
  int failed = ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), flags);
  if (failed && errno == EINVAL && flags)
    failed = ::rename(temporary_.c_str(), target_.c_str());  // no RENAME_NOREPLACE on this file system
  if (failed && errno == EEXIST) throw exists_already(target_);
  if (failed) throw system_error(errno, "cannot rename to", target_);
  close();
  if (durable == Durable::no) return;

  fs::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd < 0) return;  // the file is there; only the durability of its name is unknown
  ::fsync(folder_fd);
  ::close(folder_fd);
}

void write_atomically(const fs::path& target, std::string_view content, IfExists if_exists, Durable durable) {
  AtomicFile file(target, 0, if_exists);
  file.write(0, bytes(content), durable);
  file.commit(durable);
}

}  // namespace depickle::os
