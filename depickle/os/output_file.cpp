#include "depickle/os/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "depickle/base/error.h"

namespace depickle::os {
namespace {

constexpr uint64_t kStepBytes = 1 << 20;

}  // namespace

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

std::shared_ptr<const MappedFile> OutputFile::read_back() const {
  FileDescriptor duplicate(::fcntl(descriptor(), F_DUPFD_CLOEXEC, 3));
  if (!duplicate) throw system_error(errno, "cannot read back", name_);
  return MappedFile::adopt(std::move(duplicate), name_);
}

}  // namespace depickle::os
