// The checksums that a container keeps of its own records. torch writes them and never looks at them again.
#pragma once

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {

/// Computes the CRC-32 of every storage for which the container records one. Throws Error{integrity} (ZP12) naming the storage
/// and its place where it is another: the file was damaged after it was written. Storages without a checksum pass.
void check_checksums(const Weights& source, unsigned threads, const Progress& progress, std::string_view file);

}  // namespace depickle::convert
