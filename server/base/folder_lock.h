// The lock on a data folder.
#pragma once

#include <filesystem>

#include "depickle/os/file_descriptor.h"

namespace depickle::server {

/// Holds flock(2) on the file `lock` in a folder until it is destroyed or the process ends.
class FolderLock {
 public:
  /// Creates the folder if it does not exist. Throws Error{io}; Error{io, folder_in_use} if another process holds the
  /// lock.
  explicit FolderLock(const std::filesystem::path& folder);

 private:
  os::FileDescriptor file_;
};

}  // namespace depickle::server
