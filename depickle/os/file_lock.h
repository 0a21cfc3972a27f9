// A lock file: one process at a time, as with huggingface_hub's locks.
#pragma once

#include <filesystem>
#include <functional>

#include "depickle/os/file_descriptor.h"

namespace depickle::os {

/// Holds a flock(2) lock on a file, which is created with mode 0664 and not removed. The constructor waits for other
/// holders and calls `check_cancelled` ten times a second. Throws Error{io} and what `check_cancelled` throws.
class FileLock {
 public:
  FileLock(const std::filesystem::path& path, const std::function<void()>& check_cancelled);
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  FileDescriptor file_;
};

}  // namespace depickle::os
