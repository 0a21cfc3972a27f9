// A plan carried out: from the source's mapping into the file, in bounded memory.
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
  std::string_view file = {};  ///< what Progress calls the work
  os::Durable durable = os::Durable::yes;
  /// Called when bytes [begin, end) of the source's tensor number `tensor` are in the file; from several threads.
  std::function<void(uint32_t tensor, uint64_t begin, uint64_t end)> written = {};
};

/// Writes the tensors of `plan` for `source`, whose plan it is, into `file`; plan.head is left to the caller. Contiguous tensors go straight from the mapping to the file;
/// small ones and those that must be gathered go through buffers of at most 16 MiB in all, whatever the size of the model.
/// Neither sync() nor commit() is called. Throws Error{io} where the disk is full, {integrity} where the source shrinks under it,
/// {cancelled} from the listener.
void write_tensors(
    const Plan& plan, const Weights& source, const os::OutputFile& file, const WriteOptions& options = {});

}  // namespace depickle::convert
