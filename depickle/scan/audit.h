// One pickle stream judged: its globals and calls against the closed list. Private to the module.
#pragma once

#include <string>

#include "depickle/base/bytes.h"
#include "depickle/scan/scan.h"

namespace depickle::scan {

/// How a stream came to be looked at.
enum class Certainty {
  certain,    ///< it is one, and must be readable
  heuristic,  ///< bytes that begin like one: weights do so by chance, so only plausible names count
};

/// Judges every pickle in `stream`, one after the other, up to the first byte that begins none; adds what it finds to `scan`.
/// Returns where it stopped. With Certainty::certain, a stream that cannot be read sets scan.error.
uint64_t audit_stream(Scan& scan, Bytes stream, const std::string& record, Certainty certainty, int depth = 0);

/// Whether bytes begin as a pickle of protocol 2 to 5 does.
bool begins_as_pickle(Bytes bytes) noexcept;
/// Whether they begin with an opcode, which is all that can be said of protocols 0 and 1.
bool begins_with_opcode(Bytes bytes) noexcept;

}  // namespace depickle::scan
