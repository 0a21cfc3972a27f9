#include "server/hub/store/temporary_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "depickle/base/error.h"
#include "server/hub/store/digits.h"

namespace depickle::server {
namespace {

namespace fs = std::filesystem;

void sync_folder(const fs::path& folder) {
  int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw system_error(errno, "cannot open the folder", folder.string());
  bool synced = ::fsync(fd) == 0;
  int error_number = errno;
  ::close(fd);
  if (!synced) throw system_error(error_number, "cannot carry to the disk", folder.string());
}

// A new folder is on the disk once the one that names it is.
void create_folders(const fs::path& folder) {
  if (fs::is_directory(folder)) return;
  create_folders(folder.parent_path());
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST)
    throw system_error(errno, "cannot create the folder", folder.string());
  sync_folder(folder.parent_path());
}

}  // namespace

void write_at(int fd, uint64_t offset, Bytes bytes, const fs::path& file) {
  while (!bytes.empty()) {
    ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw system_error(errno, "cannot write", file.string());
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

uint64_t read_at(int fd, uint64_t offset, MutableBytes out, const fs::path& file) {
  uint64_t total = 0;
  while (total < out.size()) {
    ssize_t got = ::pread(fd, out.data() + total, out.size() - total, static_cast<off_t>(offset + total));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "cannot read", file.string());
    if (got == 0) break;
    total += static_cast<uint64_t>(got);
  }
  return total;
}

void sync_and_rename(int fd, const fs::path& file, const fs::path& target) {
  if (::fsync(fd) != 0) throw system_error(errno, "cannot carry to the disk", file.string());
  create_folders(target.parent_path());
  if (::rename(file.c_str(), target.c_str()) != 0) throw system_error(errno, "cannot name", target.string());
  sync_folder(target.parent_path());
}

TemporaryFile::TemporaryFile(const fs::path& folder)
    : path_(folder / random_hex(24)),
      fd_(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
  if (fd_ < 0) throw system_error(errno, "cannot write", path_.string());
}

TemporaryFile::~TemporaryFile() {
  ::close(fd_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

void TemporaryFile::append(Bytes bytes) {
  write_at(fd_, size_bytes_, bytes, path_);
  size_bytes_ += bytes.size();
}

void TemporaryFile::read(uint64_t offset, MutableBytes out) const {
  if (read_at(fd_, offset, out, path_) != out.size())
    throw Error(Code::io, "", "is shorter than what was written", Where::in(path_.string()));
}

void TemporaryFile::become(const fs::path& target) {
  sync_and_rename(fd_, path_, target);
  path_.clear();
}

}  // namespace depickle::server
