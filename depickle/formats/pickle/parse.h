// Reads a pickle without unpickling it. All 68 opcodes are supported.
#pragma once

#include <optional>

#include "depickle/base/error.h"
#include "depickle/formats/pickle/graph.h"

namespace depickle::pickle {

/// Limits on the resources that a stream uses (PK10). The defaults accept the largest real checkpoints (100,000 tensors
/// are 4 million opcodes). Each limit is checked before memory is allocated.
struct ParseLimits {
  uint64_t opcodes = 200'000'000;
  uint64_t nodes = 40'000'000;  ///< 16 bytes each
  uint64_t memo_entries = 50'000'000;
  uint64_t stack_items = 10'000'000;
  uint64_t marks = 100'000;
  uint64_t line_bytes = 4096;      ///< of GLOBAL, INST, PERSID, GET, PUT, FLOAT, INT, LONG
  uint64_t text_bytes = 64 << 20;  ///< of one str; bytes have no limit, because they are not copied
};

/// The result of trace().
struct Trace {
  Graph graph;
  uint64_t end_bytes = 0;            ///< the end of the bytes read, from the start of the stream
  std::optional<Error> failure;      ///< nullopt if STOP was reached; its offset includes `first_byte`
  bool python_may_continue = false;  ///< failure: a limit, or a rule that Python does not enforce (PK06, PK07)
  /// The first violation of a rule that only some versions of Python enforce: frames (PK02, PK03), a NUL in a number
  /// (PK05). The graph continues as in the versions that do not.
  std::optional<Error> divergence;
};

/// Reads the pickle at the start of `stream` up to STOP or to the first error. The graph contains every global and call
/// before the error. `first_byte`, the offset of the stream in its file, is added to every offset.
Trace trace(Bytes stream, uint64_t first_byte = 0, const ParseLimits& limits = {});

struct Pickle {
  Graph graph;
  uint64_t end_bytes;  ///< one past STOP, from the start of the stream
};

/// Reads the pickle at the start of `stream`, to its STOP. Throws Error{malformed, truncated, limit} with the offset.
Pickle parse(Bytes stream, uint64_t first_byte = 0, const ParseLimits& limits = {});

}  // namespace depickle::pickle
