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
#include "depickle/os/filesystem.h"

namespace depickle::os {
namespace {

namespace fs = std::filesystem;

// Returns the file that `target` refers to, with symbolic links followed. It may not exist.
fs::path resolve_links(fs::path target) {
  std::error_code ignored;
  for (int hops = 0; hops < 40 && fs::is_symlink(target, ignored); ++hops) {
    fs::path next =
        checked("cannot read the link", target, [&](auto& error) { return fs::read_symlink(target, error); });
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return target;
}

fs::path temporary_path_for(const fs::path& target, Writers writers) {
  static std::atomic<unsigned> number = 0;
  fs::path name = ".";
  name += target.filename();
  if (writers == Writers::many) name += fmt::format(".{}-{}", ::getpid(), number++);
  name += ".depickle-tmp";
  return target.parent_path() / name;
}

Error target_exists(const fs::path& target) {
  return Error(Code::io, Reason::target_exists, "already exists", Where::in(target)).with_errno(EEXIST);
}

// Removes the temporary file of a killed process. Throws if a running process has locked it.
void remove_stale(const fs::path& temporary, const fs::path& target) {
  const FileDescriptor file(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) {
    if (errno == ELOOP) ::unlink(temporary.c_str());
    return;
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    throw Error(
        Code::io, Reason::target_busy, "another process is writing this file", Where::in(target), "wait for it to end");
  ::unlink(temporary.c_str());
}

void allocate(int descriptor, uint64_t size_bytes, const fs::path& target) {
  if (size_bytes == 0) return;
  if (::fallocate(descriptor, 0, 0, static_cast<off_t>(size_bytes)) == 0) return;
  int error_number = errno;
  struct statvfs disk{};
  const bool is_known = ::fstatvfs(descriptor, &disk) == 0;
  uint64_t free_bytes = is_known ? disk.f_bavail * static_cast<uint64_t>(disk.f_frsize) : 0;
  if (error_number == ENOSPC || error_number == EFBIG || error_number == EDQUOT ||
      (is_known && free_bytes < size_bytes)) {
    throw Error(Code::io, Reason::no_space,
        fmt::format("not enough space on the disk (have {} bytes, need {})", grouped(free_bytes), grouped(size_bytes)),
        Where::in(target), "free space on the disk, or write to another disk");
  }
  // The file system does not support fallocate. Writes fail if there is not enough space.
  if (::ftruncate(descriptor, static_cast<off_t>(size_bytes)) != 0) throw system_error(errno, "cannot write", target);
}

}  // namespace

AtomicFile::Place::Place(const fs::path& requested, IfExists if_exists_, Writers writers)
    : target(resolve_links(requested)),
      temporary(temporary_path_for(target, writers)),
      if_exists(if_exists_) {}

FileDescriptor AtomicFile::Place::create() const {
  std::error_code ignored;
  if (if_exists == IfExists::refuse && fs::exists(target, ignored)) throw target_exists(target);
  if (fs::is_directory(target, ignored))
    throw Error(Code::io, Reason::target_is_folder, "is a folder", Where::in(target), "name a file");
  remove_stale(temporary, target);
  FileDescriptor file(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file) throw system_error(errno, "cannot write", target);
  return file;
}

AtomicFile::AtomicFile(const fs::path& target, uint64_t size_bytes, IfExists if_exists, Writers writers)
    : AtomicFile(Place(target, if_exists, writers)) {
  ::flock(descriptor(), LOCK_EX | LOCK_NB);
  allocate(descriptor(), size_bytes, target_);
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
  if (failed && errno == EINVAL && flags)  // the file system does not support RENAME_NOREPLACE
    failed = ::rename(temporary_.c_str(), target_.c_str());
  if (failed && errno == EEXIST) throw target_exists(target_);
  if (failed) throw system_error(errno, "cannot rename to", target_);
  close();
  if (durable == Durable::no) return;

  fs::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  const FileDescriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened) ::fsync(opened.get());  // the file is committed even if its name cannot be synced
}

void write_atomically(const fs::path& target, std::string_view content, IfExists if_exists, Durable durable) {
  AtomicFile file(target, 0, if_exists);
  file.write(0, bytes(content), durable);
  file.commit(durable);
}

}  // namespace depickle::os
