// A file that was written, brought to the disk, read back, compared and digested, before it gets its name.
#pragma once

#include "depickle/base/output_file.h"
#include "depickle/base/progress.h"
#include "depickle/convert/compare.h"
#include "depickle/convert/hash.h"
#include "depickle/convert/plan.h"

namespace depickle::convert {

/// Reads the file back through a mapping of its own and compares all of `source` with it, dropped names too, and all of
/// it with `plan`.
Comparison compare_written(
    const Plan& plan, const Weights& source, const OutputFile& file, const CompareOptions& options = {});

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
};

/// Writes `plan` into `file` and proves it; the disk, the comparison and the digests go on at the same time. Its name is left to the
/// caller. plan.head, which may be megabytes, is emptied when it has been written.
/// Throws Error{integrity} naming the tensor where anything differs, what check_checksums() throws, and {integrity} where a source file changed while it was
/// read.
Proof write_and_prove(Plan& plan, const Weights& source, const OutputFile& file, const ProofOptions& options = {});

}  // namespace depickle::convert
