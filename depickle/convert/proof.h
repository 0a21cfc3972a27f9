// A file that is written, read back, compared, brought to the disk and digested, before it gets its name.
#pragma once

#include "depickle/base/progress.h"
#include "depickle/convert/compare.h"
#include "depickle/convert/hash.h"
#include "depickle/convert/plan.h"
#include "depickle/os/output_file.h"

namespace depickle::convert {

/// What a receipt needs besides the plan.
struct Digests {
  std::vector<Digest> sources;  ///< of source.files()
  Digest target;
  std::vector<Digest> tensors;  ///< of plan.tensors
};

struct Proof {
  Comparison comparison;
  Digests digests;  ///< empty where they were not asked for
};

struct ProofOptions {
  unsigned threads = default_threads();
  Progress progress = {};
  std::string_view file = {};  ///< what Progress calls the work
  bool digests = false;
  bool checksums = true;  ///< whether the source must be what its own checksums say
  os::Durable durable = os::Durable::yes;
};

/// Writes `plan` into `file` and proves it: every piece of a tensor, when it is in the file, is read back through a mapping of the
/// file, under the name that the file's own header gives it, and compared with the source; dropped names follow at the end. So the
/// source is read once, however large it is, and what was written is still in memory. The disk works at the same time. The file's
/// name is left to the caller. plan.head, which may be megabytes, is emptied when it has been written.
/// Throws Error{integrity} naming the tensor where anything differs, what Checksums::check() throws, and {integrity} where a source file changed
/// while it was read.
Proof write_and_prove(Plan& plan, const Weights& source, const os::OutputFile& file, const ProofOptions& options = {});

}  // namespace depickle::convert
