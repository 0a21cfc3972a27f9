#include "depickle/os/output_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"

namespace depickle::os {
namespace {

constexpr uint64_t kStepBytes = 1 << 20;

}  // namespace

void OutputFile::allocate(uint64_t size_bytes) const {
  if (size_bytes == 0) return;
  if (::fallocate(descriptor(), 0, 0, static_cast<off_t>(size_bytes)) == 0) return;
  const int error_number = errno;
  struct statvfs disk{};
  const bool is_known = ::fstatvfs(descriptor(), &disk) == 0;
  const uint64_t free_bytes = is_known ? disk.f_bavail * static_cast<uint64_t>(disk.f_frsize) : 0;
  if (error_number == ENOSPC || error_number == EFBIG || error_number == EDQUOT ||
      (is_known && free_bytes < size_bytes)) {
    throw Error(Code::io, Reason::no_space,
        fmt::format("not enough space on the disk (have {} bytes, need {})", grouped(free_bytes), grouped(size_bytes)),
        Where::in(name_), "free space on the disk, or write to another disk")
        .with_errno(error_number);
  }
  // The file system does not support fallocate. Writes fail if there is not enough space.
  if (::ftruncate(descriptor(), static_cast<off_t>(size_bytes)) != 0) throw system_error(errno, "cannot write", name_);
}

void OutputFile::write(uint64_t offset, Bytes bytes, Durable durable) const {
  while (!bytes.empty()) {
    Bytes step = bytes.first(std::min<uint64_t>(bytes.size(), kStepBytes - offset % kStepBytes));
    // The bytes may be in a mapped file whose pages are not in memory. A write() that faults in page after page fills
    // the target's cache with single pages, and writing those to the disk takes twice as long.
    prefault(step);
    write_all_at(descriptor(), offset, step, name_);
    if (durable == Durable::yes)
      ::sync_file_range(
          descriptor(), static_cast<off_t>(offset), static_cast<off_t>(step.size()), SYNC_FILE_RANGE_WRITE);
    bytes = bytes.subspan(step.size());
    offset += step.size();
  }
}

void OutputFile::sync() const {
  if (::fsync(descriptor()) != 0) throw system_error(errno, "cannot write", name_);
}

void OutputFile::check_written() const {
  const int duplicate = ::fcntl(descriptor(), F_DUPFD_CLOEXEC, 3);
  if (duplicate < 0 || (::close(duplicate) != 0 && errno != EINTR)) throw system_error(errno, "cannot write", name_);
}

std::shared_ptr<const MappedFile> OutputFile::read_back() const {
  FileDescriptor duplicate(::fcntl(descriptor(), F_DUPFD_CLOEXEC, 3));
  if (!duplicate) throw system_error(errno, "cannot read back", name_);
  return MappedFile::adopt(std::move(duplicate), name_);
}

}  // namespace depickle::os
