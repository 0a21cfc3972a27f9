#include "depickle/os/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/os/filesystem.h"

namespace depickle::os {
namespace {

namespace fs = std::filesystem;

// Returns the file that `target` refers to, with symbolic links followed. It may not exist.
fs::path resolve_links(fs::path target) {
  std::error_code ignored;
  for (int links = 0; links < 40 && fs::is_symlink(target, ignored); ++links) {
    fs::path next =
        checked("cannot read the link", target, [&](auto& error) { return fs::read_symlink(target, error); });
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return target;
}

// Returns the status of a file, with links followed; nullopt if it does not exist.
std::optional<struct stat> status_of(const fs::path& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) return status;
  if (errno != ENOENT && errno != ENOTDIR) throw system_error(errno, "cannot write", path);
  return std::nullopt;
}

bool is_same_inode(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

// Whether the name `path` itself, not followed, is the open file.
bool is_name_of(const fs::path& path, int descriptor) {
  struct stat named, opened;
  return ::lstat(path.c_str(), &named) == 0 && ::fstat(descriptor, &opened) == 0 && is_same_inode(named, opened);
}

std::string_view kind_of(mode_t mode) {
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "another kind of file";
}

// Returns whether the target exists. Throws if it is not a regular file: a rename would replace a device or a FIFO.
bool check_target(const fs::path& target) {
  const auto status = status_of(target);
  if (!status) return false;
  if (S_ISDIR(status->st_mode))
    throw Error(Code::io, Reason::target_is_folder, "is a folder", Where::in(target), "name a file");
  if (!S_ISREG(status->st_mode))
    throw Error(Code::io, "", fmt::format("is {}, not a regular file", kind_of(status->st_mode)), Where::in(target),
        "name a new file or a regular file");
  return true;
}

// A link in /proc/PID/fd leads to an open file, and its text is not always the path of that file. Compares the two
// several times, because another program may replace the target between two calls.
void check_resolved(const fs::path& requested, const fs::path& target) {
  constexpr int kMaxAttempts = 20;
  if (requested == target) return;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    const auto before = status_of(requested), after = status_of(target);
    if (before.has_value() == after.has_value() && (!before || is_same_inode(*before, *after))) return;
  }
  throw Error(Code::io, "", "is a link to an open file without a name", Where::in(requested), "name a file");
}

fs::path temporary_path_for(const fs::path& target, std::string_view number) {
  fs::path name = ".";
  name += target.filename();
  name += number;
  name += ".depickle-tmp";
  return target.parent_path() / name;
}

Error target_exists(const fs::path& target) {
  return Error(Code::io, Reason::target_exists, "already exists", Where::in(target)).with_errno(EEXIST);
}

Error target_busy(const fs::path& target) {
  return Error(
      Code::io, Reason::target_busy, "another process is writing this file", Where::in(target), "wait for it to end");
}

enum class Lock { taken, busy, unsupported };

Lock try_lock(int descriptor) {
  while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Lock::busy;
    if (errno != EINTR) return Lock::unsupported;  // some network file systems
  }
  return Lock::taken;
}

// Removes the temporary file of a killed process. Returns whether the file system supports locks; true if there is no
// file. Throws if a running process has locked it.
//
// Only the process with the lock on the file that has the temporary name may rename or remove that name. The file may
// have lost the name before it was locked, so the name is compared after locking.
bool remove_stale(const fs::path& temporary, const fs::path& target) {
  const FileDescriptor file(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) {
    if (errno == ELOOP) ::unlink(temporary.c_str());
    return true;
  }
  const Lock lock = try_lock(file.get());
  if (lock == Lock::busy) throw target_busy(target);
  if (lock == Lock::taken && is_name_of(temporary, file.get())) ::unlink(temporary.c_str());
  return lock != Lock::unsupported;
}

FileDescriptor create_new(const fs::path& temporary) {
  return FileDescriptor(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
}

// Creates and locks the file `temporary`. Returns none if the file system does not support locks.
//
// Another process may remove the file as a stale one before it is locked. That process then creates its own file, so
// this one gives up: of several processes, exactly one continues.
FileDescriptor create_locked(const fs::path& temporary, const fs::path& target) {
  constexpr int kMaxAttempts = 100;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    if (!remove_stale(temporary, target)) return {};
    FileDescriptor file = create_new(temporary);
    if (!file && errno == EEXIST) continue;
    if (!file) throw system_error(errno, "cannot write", target);
    const Lock lock = try_lock(file.get());
    if (lock == Lock::taken && is_name_of(temporary, file.get())) return file;
    if (lock != Lock::unsupported) break;
    if (is_name_of(temporary, file.get())) ::unlink(temporary.c_str());
    return {};
  }
  throw target_busy(target);
}

// Creates a file with a name that no other process uses, and sets `temporary` to it.
FileDescriptor create_unique(fs::path& temporary, const fs::path& target) {
  static std::atomic<unsigned> number = 0;
  while (true) {
    temporary = temporary_path_for(target, fmt::format(".{}-{}", ::getpid(), number++));
    FileDescriptor file = create_new(temporary);
    if (!file && errno == EEXIST) continue;
    if (!file) throw system_error(errno, "cannot write", target);
    return file;
  }
}

// Gives the file the name `target` unless that name exists, on file systems without RENAME_NOREPLACE (NFS). Returns 0,
// or -1 with an errno.
int rename_without_replacing(const fs::path& temporary, const fs::path& target) {
  if (::link(temporary.c_str(), target.c_str()) == 0) {
    ::unlink(temporary.c_str());
    return 0;
  }
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) return -1;
  // A file system without hard links (exFAT): takes the name with an empty file and replaces that.
  const FileDescriptor placeholder = create_new(target);
  if (!placeholder) return -1;
  if (::rename(temporary.c_str(), target.c_str()) == 0) return 0;
  const int error_number = errno;
  ::unlink(target.c_str());
  errno = error_number;
  return -1;
}

}  // namespace

AtomicFile::Place::Place(const fs::path& requested, IfExists if_exists_)
    : target(resolve_links(requested)),
      if_exists(if_exists_) {
  if (check_target(requested) && if_exists == IfExists::refuse) throw target_exists(target);
  check_resolved(requested, target);
}

FileDescriptor AtomicFile::Place::create(Writers writers) {
  if (writers == Writers::one) {
    temporary = temporary_path_for(target, "");
    if (FileDescriptor file = create_locked(temporary, target)) return file;
  }
  return create_unique(temporary, target);
}

AtomicFile::AtomicFile(const fs::path& target, uint64_t size_bytes, IfExists if_exists, Writers writers)
    : AtomicFile(Place(target, if_exists), writers) {
  allocate(size_bytes);
}

AtomicFile::AtomicFile(Place place, Writers writers)
    : OutputFile(place.create(writers), place.target),
      target_(std::move(place.target)),
      temporary_(std::move(place.temporary)),
      if_exists_(place.if_exists) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept = default;

AtomicFile::~AtomicFile() {
  if (descriptor() >= 0 && is_name_of(temporary_, descriptor())) ::unlink(temporary_.c_str());
}

void AtomicFile::commit(Durable durable) {
  if (durable == Durable::yes) {
    sync();
  } else {
    check_written();
  }
  if (!is_name_of(temporary_, descriptor()))
    throw Error(Code::io, "", "the temporary file was removed or replaced", Where::in(target_), "try again");
  if (check_target(target_) && if_exists_ == IfExists::refuse) throw target_exists(target_);
  const unsigned flags = if_exists_ == IfExists::refuse ? RENAME_NOREPLACE : 0;
  int failed = ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), flags);
  if (failed && (errno == EINVAL || errno == ENOSYS))
    failed = flags ? rename_without_replacing(temporary_, target_) : ::rename(temporary_.c_str(), target_.c_str());
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
