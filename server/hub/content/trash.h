// Removes files in two steps: a rename, which is fast, and an unlink, which takes seconds for a large file.
#pragma once

#include <cstdint>
#include <filesystem>

#include "server/hub/content/context.h"

namespace depickle::server::content {

/// Removed files or folders.
struct Removed {
  uint64_t count = 0;
  uint64_t bytes = 0;  ///< allocated on the disk
  void add(uint64_t more_bytes) {
    ++count;
    bytes += more_bytes;
  }
};

/// Moves a file or folder into the folder of temporary files. Returns false if it does not exist. Throws Error{io}.
bool move_to_trash(const Context& context, const std::filesystem::path& path);

/// Deletes what move_to_trash() moved, also in other processes.
Removed empty_trash(const Context& context);

/// Returns the bytes of a file, or of all files below a folder, that are allocated on the disk.
uint64_t disk_bytes(const std::filesystem::path& path);

}  // namespace depickle::server::content
