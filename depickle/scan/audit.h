// Compares the globals and calls of a pickle stream with the closed list. Private to the module.
#pragma once

#include <string>

#include "depickle/base/bytes.h"
#include "depickle/scan/scan.h"

namespace depickle::scan {

/// Whether bytes are known to be a pickle.
enum class Certainty {
  certain,    ///< a pickle; scan.error is set if it cannot be parsed
  heuristic,  ///< begins as a pickle, as weights may by chance; only plausible names are findings
};

/// Audits the consecutive pickles at the start of `stream` and adds the findings to `scan`. Returns the offset of the
/// first byte that was not parsed.
uint64_t audit_stream(Scan& scan, Bytes stream, const std::string& record, Certainty certainty, int depth = 0);

/// Returns whether bytes begin with an opcode: the only sign of a pickle of protocol 0 or 1.
bool begins_with_opcode(Bytes bytes) noexcept;

}  // namespace depickle::scan
