// Pickles inside NumPy arrays. Private to the module.
#pragma once

#include <optional>

#include "depickle/base/bytes.h"

namespace depickle::scan {

/// Returns the offset of the pickle in the bytes of a .npy file, or nullopt if numpy.load unpickles nothing: the array
/// has no objects. If the header is not of the form that numpy writes, the array is taken to have objects. Throws
/// Error{truncated} if the header is not complete.
std::optional<uint64_t> npy_pickle_offset(Bytes file);

/// Returns whether bytes begin with numpy's magic number.
bool is_npy(Bytes bytes) noexcept;

}  // namespace depickle::scan
