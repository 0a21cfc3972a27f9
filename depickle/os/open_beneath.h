// Opens files below a folder that is open, without leaving it.
#pragma once

#include <filesystem>

#include "depickle/os/file_descriptor.h"

namespace depickle::os {

/// Opens `path`, which is relative to the open folder `folder`, with O_CLOEXEC. Follows no symbolic link and no "..",
/// so that the file is below the folder even if another process changes the folder meanwhile. `name` is the file's name
/// in errors. Throws Error{not_found, io}.
FileDescriptor open_beneath(int folder, const std::filesystem::path& path, int flags, const std::string& name);

/// The same without openat2(2), which Linux has since 5.6: opens one component of the path after the other.
FileDescriptor open_beneath_by_component(
    int folder, const std::filesystem::path& path, int flags, const std::string& name);

}  // namespace depickle::os
