#include "depickle/os/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "depickle/base/error.h"
#include "depickle/os/file_descriptor.h"
#include "depickle/os/mapped_file.h"

namespace depickle::os {
namespace {

constexpr uint64_t kStepBytes = 1 << 20;

}  // namespace

OutputFile::OutputFile(OutputFile&& other) noexcept
    : name_(std::move(other.name_)),
      fd_(std::exchange(other.fd_, -1)) {}

OutputFile::~OutputFile() { close(); }

void OutputFile::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void OutputFile::write(uint64_t offset, Bytes bytes, Durable durable) const {
  while (!bytes.empty()) {
    Bytes step = bytes.first(std::min<uint64_t>(bytes.size(), kStepBytes - offset % kStepBytes));
    // They may lie in a mapped file, not read yet. A write() that meets them page by page fills the target's cache with single
    // pages, and bringing those to the disk takes twice as long.
    prefault(step);
    write_all_at(fd_, offset, step, name_);
    if (durable == Durable::yes)
      ::sync_file_range(fd_, static_cast<off_t>(offset), static_cast<off_t>(step.size()), SYNC_FILE_RANGE_WRITE);
    bytes = bytes.subspan(step.size());
    offset += step.size();
  }
}

void OutputFile::sync() const {
  if (::fsync(fd_) != 0) throw system_error(errno, "cannot write", name_);
}

std::shared_ptr<const MappedFile> OutputFile::read_back() const {
  const int fd = ::fcntl(fd_, F_DUPFD_CLOEXEC, 3);
  if (fd < 0) throw system_error(errno, "cannot read back", name_);
  return MappedFile::adopt(FileDescriptor(fd), name_);
}

}  // namespace depickle::os
