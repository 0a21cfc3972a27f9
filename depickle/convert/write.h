// Writes the tensors of a plan from the source's mapping into the file, in bounded memory.
#pragma once

#include <functional>

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"
#include "depickle/convert/plan.h"
#include "depickle/os/output_file.h"

namespace depickle::convert {

struct WriteOptions {
  unsigned threads = default_threads();
  Progress progress = {};
  std::string_view file = {};  ///< the file name in progress reports
  os::Durable durable = os::Durable::yes;
  /// Called after bytes [begin, end) of the source's tensor number `tensor` were written; from several threads.
  std::function<void(uint32_t tensor, uint64_t begin, uint64_t end)> written = {};
};

/// Writes the tensors of `plan`, which was made for `source`, into `file`; the caller writes plan.head. Contiguous
/// tensors are written directly from the mapping; small and strided tensors go through buffers of at most 16 MiB in
/// total. Does not call sync() or commit(). Throws Error{io} if the disk is full, Error{integrity} if the source is
/// truncated meanwhile, Error{cancelled} from the listener.
void write_tensors(
    const ConversionPlan& plan, const Weights& source, const os::OutputFile& file, const WriteOptions& options = {});

}  // namespace depickle::convert
