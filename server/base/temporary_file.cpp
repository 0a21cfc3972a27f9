#include "server/base/temporary_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "depickle/base/error.h"
#include "server/base/random_id.h"
#include "server/base/sync.h"

namespace depickle::server {

namespace fs = std::filesystem;

TemporaryFile::TemporaryFile(const fs::path& folder)
    : path_(folder / random_hex(24)),
      file_(os::open_file(path_, O_RDWR | O_CREAT | O_EXCL, 0666, "cannot write")) {}

TemporaryFile::~TemporaryFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

void TemporaryFile::append(Bytes bytes) {
  os::write_all_at(file_.get(), size_bytes_, bytes, path_);
  size_bytes_ += bytes.size();
}

void TemporaryFile::read(uint64_t offset_bytes, MutableBytes out) const {
  if (os::read_all_at(file_.get(), offset_bytes, out, path_) != out.size())
    throw Error(Code::io, "", "is shorter than the bytes written to it", Where::in(path_.string()));
}

void TemporaryFile::sync() const {
  if (::fsync(file_.get()) != 0) throw system_error(errno, "cannot sync", path_.string());
}

void TemporaryFile::rename_to(const fs::path& target) {
  sync_and_rename(file_.get(), path_, target);
  release();
}

void TemporaryFile::rename_unsynced_to(const fs::path& target) {
  if (::rename(path_.c_str(), target.c_str()) != 0) throw system_error(errno, "cannot rename to", target.string());
  release();
}

// The file has its name: nobody may write to it any more.
void TemporaryFile::release() {
  path_.clear();
  file_.reset();
}

}  // namespace depickle::server
