#include "depickle/os/scratch_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "depickle/base/error.h"

namespace depickle::os {
namespace {

constexpr const char* kName = "a temporary file";
constexpr uint64_t kAlignBytes = 64 << 10;  // the largest page size of Linux
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 62;

// The one file of all scratch space, if the process has one.
struct SharedFile {
  std::function<int()> open;
  std::mutex mutex;
  std::shared_ptr<const FileDescriptor> file;
  uint64_t end_bytes = 0;
};

SharedFile& shared_file() {
  static SharedFile shared;
  return shared;
}

std::filesystem::path& scratch_folder() {
  static std::filesystem::path folder;
  return folder;
}

// Some file systems have no O_TMPFILE.
int open_and_unlink(const std::filesystem::path& folder) {
  std::string name = (folder / ".scratch-XXXXXX").string();
  const int file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file >= 0) ::unlink(name.c_str());
  return file;
}

}  // namespace

void set_scratch_folder(std::filesystem::path folder) { scratch_folder() = std::move(folder); }

int open_scratch_file() {
  if (const std::filesystem::path& folder = scratch_folder(); !folder.empty()) {
    int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0 && errno == EOPNOTSUPP) file = open_and_unlink(folder);
    if (file < 0) throw system_error(errno, "cannot create a temporary file", folder.string());
    return file;
  }
  // /var/tmp is on a disk; /tmp may be in memory.
  for (const char* folder : {"/var/tmp", "/tmp"}) {
    const int file = ::open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0) return file;
  }
  throw system_error(errno, "cannot create a temporary file", "/var/tmp");
}

void share_scratch_file(std::function<int()> open) { shared_file().open = std::move(open); }

ScratchSpace::ScratchSpace(uint64_t size_bytes) : size_bytes_(size_bytes), is_shared_(shared_file().open != nullptr) {
  if (!is_shared_) {
    file_ = std::make_shared<const FileDescriptor>(open_scratch_file());
    return;
  }
  SharedFile& shared = shared_file();
  std::scoped_lock lock(shared.mutex);
  if (!shared.file) shared.file = std::make_shared<const FileDescriptor>(shared.open());
  file_ = shared.file;
  begin_bytes_ = shared.end_bytes;
  if (size_bytes > kMaxFileBytes - begin_bytes_) throw system_error(EFBIG, "cannot write", kName);
  shared.end_bytes = end_bytes();
}

uint64_t ScratchSpace::end_bytes() const noexcept {
  return begin_bytes_ + (size_bytes_ + kAlignBytes - 1) / kAlignBytes * kAlignBytes;
}

ScratchSpace::~ScratchSpace() {
  if (data_) ::munmap(data_, size_bytes_);
  if (!is_shared_) return;
  ::fallocate(file_->get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin_bytes_),
      static_cast<off_t>(size_bytes_));
  SharedFile& shared = shared_file();
  std::scoped_lock lock(shared.mutex);
  if (shared.end_bytes == end_bytes()) shared.end_bytes = begin_bytes_;
}

void ScratchSpace::write(uint64_t offset_bytes, Bytes bytes) {
  write_all_at(file_->get(), begin_bytes_ + offset_bytes, bytes, kName);
}

Bytes ScratchSpace::map() {
  void* data = ::mmap(nullptr, size_bytes_, PROT_READ, MAP_SHARED, file_->get(), static_cast<off_t>(begin_bytes_));
  if (data == MAP_FAILED) throw system_error(errno, "cannot map", kName);
  data_ = data;
  if (!is_shared_) file_.reset();  // the mapping keeps the file
  return {static_cast<const std::byte*>(data_), size_bytes_};
}

}  // namespace depickle::os
