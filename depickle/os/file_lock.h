// One process at a time, as huggingface_hub's locks have it.
#pragma once

#include <filesystem>
#include <functional>

namespace depickle::os {

/// Holds flock(2) on a file (created with mode 0664, left in place). Waits for another holder, asking `check_cancelled` ten
/// times a second. Throws Error{io}; what `check_cancelled` throws.
class FileLock {
 public:
  FileLock(const std::filesystem::path& path, const std::function<void()>& check_cancelled);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace depickle::os
