// The content of an addition, opened for reading.
#pragma once

#include <memory>
#include <string>

#include "depickle/hub/commit.h"
#include "depickle/os/mapped_file.h"

namespace depickle::hub {

/// Opens the local file, or puts the text into a file in memory. Throws Error{not_found, io}; Error{unsupported} if it
/// is not a regular file. Callers use read(), not view(): a file that is truncated meanwhile is then Error{integrity}.
std::shared_ptr<const os::MappedFile> open_content(const Addition& addition);

/// Returns `length` bytes in base64.
std::string read_base64(const os::MappedFile& content, uint64_t offset, uint64_t length);

}  // namespace depickle::hub
