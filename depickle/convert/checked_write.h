// Writes a planned file, reads it back and compares it with the source, before the file gets its name.
#pragma once

#include "depickle/base/progress.h"
#include "depickle/convert/compare.h"
#include "depickle/convert/hash.h"
#include "depickle/convert/plan.h"
#include "depickle/os/output_file.h"

namespace depickle::convert {

/// The digests that a receipt contains.
struct Digests {
  std::vector<Digest> sources;  ///< of source.files()
  Digest target;
  std::vector<Digest> tensors;  ///< of plan.tensors
};

struct CheckedWrite {
  Comparison comparison;
  Digests digests;  ///< empty if not requested
};

struct CheckedWriteOptions {
  unsigned threads = default_threads();
  Progress progress = {};
  std::string_view file = {};  ///< the file name in progress reports
  bool digests = false;
  bool checksums = true;  ///< refuse a source that does not match the checksums it contains
  os::Durable durable = os::Durable::yes;
};

/// Writes `plan` into `file`. After each block is written, it is read back through a mapping of the file, found by the
/// name in the file's own header, and compared with the source; dropped names are compared at the end. So the source is
/// read once, whatever its size, and written blocks are compared while they are still in memory. Syncing to the disk
/// runs in parallel. The caller gives the file its name. Clears plan.head, which may be megabytes, after writing it.
///
/// Throws Error{integrity} with the tensor's name if anything differs, Error{integrity} if a source file changed while
/// it was read, and everything that Checksums::check() and write_tensors() throw.
CheckedWrite write_checked(
    ConversionPlan& plan, const Weights& source, const os::OutputFile& file, const CheckedWriteOptions& options = {});

}  // namespace depickle::convert
