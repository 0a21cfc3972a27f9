#include "server/base/temporary_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "depickle/base/error.h"
#include "server/base/random_id.h"

namespace depickle::server {
namespace {

namespace fs = std::filesystem;

void sync_folder(const fs::path& folder) {
  os::FileDescriptor file = os::open_file(folder, O_RDONLY | O_DIRECTORY, 0, "cannot open the folder");
  if (::fsync(file.get()) != 0) throw system_error(errno, "cannot sync", folder.string());
}

// A new folder is durable once its parent folder is synced.
void create_folders(const fs::path& folder) {
  if (fs::is_directory(folder)) return;
  create_folders(folder.parent_path());
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST)
    throw system_error(errno, "cannot create the folder", folder.string());
  sync_folder(folder.parent_path());
}

}  // namespace

void sync_and_rename(int descriptor, const fs::path& file, const fs::path& target) {
  if (::fsync(descriptor) != 0) throw system_error(errno, "cannot sync", file.string());
  create_folders(target.parent_path());
  if (::rename(file.c_str(), target.c_str()) != 0) throw system_error(errno, "cannot rename to", target.string());
  sync_folder(target.parent_path());
}

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

void TemporaryFile::rename_to(const fs::path& target) {
  sync_and_rename(file_.get(), path_, target);
  path_.clear();
}

}  // namespace depickle::server
