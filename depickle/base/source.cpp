#include "depickle/base/source.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle {

void ByteSource::check_range(uint64_t offset, uint64_t length) const {
  if (offset <= size_bytes() && length <= size_bytes() - offset) return;
  throw Error(Code::truncated, "",
      fmt::format("the file ends too early (have {} bytes, need {} from byte {})", size_bytes(), length, offset),
      Where::in(name_));
}

Bytes ByteSource::view(uint64_t offset, uint64_t length) const {
  check_range(offset, length);
  return do_view(offset, length);
}

void ByteSource::read(uint64_t offset, MutableBytes out) const {
  check_range(offset, out.size());
  do_read(offset, out);
}

void ByteSource::do_read(uint64_t offset, MutableBytes out) const {
  std::ranges::copy(do_view(offset, out.size()), out.begin());
}

namespace {

int64_t modified_ns(const struct stat& status) {
  return status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw system_error(errno, "cannot open", path);
  return adopt(fd, path);
}

std::shared_ptr<const MappedFile> MappedFile::adopt(int fd, std::string name) {
  struct stat status;
  if (::fstat(fd, &status) != 0) {
    int error_number = errno;
    ::close(fd);
    throw system_error(error_number, "cannot look at", name);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(fd);
    throw Error(Code::unsupported, "", S_ISDIR(status.st_mode) ? "is a folder, not a file" : "is not a regular file",
        Where::in(name));
  }
  auto size_bytes = static_cast<uint64_t>(status.st_size);
  void* data = nullptr;
  if (size_bytes > 0) {
    data = ::mmap(nullptr, size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
      int error_number = errno;
      ::close(fd);
      throw system_error(error_number, "cannot map", name);
    }
  }
  Stamp stamp{status.st_dev, status.st_ino, modified_ns(status)};
  return std::shared_ptr<const MappedFile>(
      new MappedFile(std::move(name), fd, static_cast<const std::byte*>(data), size_bytes, stamp));
}

MappedFile::MappedFile(std::string name, int fd, const std::byte* data, uint64_t size_bytes, Stamp stamp)
    : ByteSource(std::move(name)),
      fd_(fd),
      data_(data),
      size_bytes_(size_bytes),
      stamp_(stamp) {}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_bytes_);
  ::close(fd_);
}

void MappedFile::do_read(uint64_t offset, MutableBytes out) const {
  while (!out.empty()) {
    ssize_t count = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(errno, "cannot read", name());
    if (count == 0) throw Error(Code::integrity, "", "the file shrank while it was read", Where::in(name()));
    out = out.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

void MappedFile::check_unchanged() const {
  struct stat status;
  if (::fstat(fd_, &status) != 0) throw system_error(errno, "cannot look at", name());
  if (static_cast<uint64_t>(status.st_size) != size_bytes_ || modified_ns(status) != stamp_.modified_ns)
    throw Error(Code::integrity, "", "the file changed while it was read", Where::in(name()),
        "try again when nothing writes to it");
}

void bring_in(Bytes mapped) noexcept {
  constexpr size_t kFaultAroundBytes = 64 << 10;  // what one fault maps anyway
  if (mapped.size() <= kFaultAroundBytes) return;
  const auto address = reinterpret_cast<uintptr_t>(mapped.data()), in_page = address % 4096;
  ::madvise(reinterpret_cast<void*>(address - in_page), mapped.size() + in_page, MADV_POPULATE_READ);
}

}  // namespace depickle
