#include "depickle/os/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "depickle/base/error.h"
#include "depickle/os/file_status.h"

namespace depickle::os {
namespace {

int64_t modified_ns(const struct stat& status) {
  return status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  return adopt(open_file(path, O_RDONLY | O_NONBLOCK), path);
}

std::shared_ptr<const MappedFile> MappedFile::adopt(FileDescriptor file, std::string name) {
  const struct stat status = status_of(file.get(), name);
  if (!S_ISREG(status.st_mode))
    throw Error(Code::unsupported, "", S_ISDIR(status.st_mode) ? "is a folder, not a file" : "is not a regular file",
        Where::in(name));
  auto size_bytes = static_cast<uint64_t>(status.st_size);
  void* data = nullptr;
  if (size_bytes > 0) {
    data = ::mmap(nullptr, size_bytes, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (data == MAP_FAILED) throw system_error(errno, "cannot map", name);
  }
  Stamp stamp{status.st_dev, status.st_ino, modified_ns(status)};
  return std::shared_ptr<const MappedFile>(
      new MappedFile(std::move(name), std::move(file), static_cast<const std::byte*>(data), size_bytes, stamp));
}

MappedFile::MappedFile(std::string name, FileDescriptor file, const std::byte* data, uint64_t size_bytes, Stamp stamp)
    : ByteSource(std::move(name)),
      file_(std::move(file)),
      data_(data),
      size_bytes_(size_bytes),
      stamp_(stamp) {}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_bytes_);
}

void MappedFile::do_read(uint64_t offset, MutableBytes out) const {
  if (read_all_at(file_.get(), offset, out, name()) < out.size())
    throw Error(Code::integrity, "", "the file shrank while it was read", Where::in(name()));
}

void MappedFile::check_unchanged() const {
  const struct stat status = status_of(file_.get(), name());
  if (static_cast<uint64_t>(status.st_size) != size_bytes_ || modified_ns(status) != stamp_.modified_ns)
    throw Error(Code::integrity, "", "the file changed while it was read", Where::in(name()),
        "try again when nothing writes to it");
}

void prefault(Bytes mapped) noexcept {
  constexpr size_t kFaultAroundBytes = 64 << 10;  // a single page fault maps this much (fault_around_bytes)
  if (mapped.size() <= kFaultAroundBytes) return;
  const uintptr_t offset_in_page = reinterpret_cast<uintptr_t>(mapped.data()) % 4096;
  std::byte* page = const_cast<std::byte*>(mapped.data()) - offset_in_page;
  ::madvise(page, mapped.size() + offset_in_page, MADV_POPULATE_READ);
}

}  // namespace depickle::os
