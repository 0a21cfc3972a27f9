// Unnamed temporary files, for content that is too large for the heap.
#pragma once

#include <functional>

namespace depickle::os {

/// Returns the descriptor of an empty unnamed file, which is deleted when it is closed. Prefers a folder on a disk.
/// Throws Error{io}.
int open_scratch_file();

/// Replaces the function that opens scratch files, for the whole process. A sandboxed process receives open files from
/// its parent. Call it before any thread is started.
void set_scratch_files(std::function<int()> open);

}  // namespace depickle::os
