// A file that is being written.
#pragma once

#include <cstdint>
#include <filesystem>

#include "depickle/base/bytes.h"
#include "depickle/os/file_descriptor.h"

namespace depickle::server {

/// A new file with a random name in a folder for temporary files, which its owner empties at the start. The destructor
/// removes the file unless rename_to() was called. Throws Error{io}.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& folder);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void append(Bytes bytes);
  uint64_t size_bytes() const noexcept { return size_bytes_; }
  /// The position of the descriptor stays at the start of the file.
  int descriptor() const noexcept { return file_.get(); }
  /// Fills `out` from `offset_bytes`.
  void read(uint64_t offset_bytes, MutableBytes out) const;
  /// Syncs the content, so that rename_to() is fast.
  void sync() const;
  /// Syncs the file, gives it the name `target` as sync_and_rename(), and closes it: afterwards append() fails.
  void rename_to(const std::filesystem::path& target);
  /// The same for a target whose loss is detected later: neither the file nor the folder is synced, and the folder must
  /// exist. Throws Error{not_found} if it does not.
  void rename_unsynced_to(const std::filesystem::path& target);

 private:
  void release();

  std::filesystem::path path_;
  os::FileDescriptor file_;
  uint64_t size_bytes_ = 0;
};

}  // namespace depickle::server
