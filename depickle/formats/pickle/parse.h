// Reading a pickle without unpickling it: a symbolic virtual machine for all 68 opcodes.
#pragma once

#include <optional>

#include "depickle/base/error.h"
#include "depickle/formats/pickle/graph.h"

namespace depickle::pickle {

/// Bounds on what a stream may ask for. The defaults let the largest real checkpoints pass (100,000 tensors are 4 million
/// opcodes) and stop bombs; each is checked before memory is taken. Rule PK10 in errors.
struct Limits {
  uint64_t opcodes = 200'000'000;
  uint64_t nodes = 40'000'000;  ///< 16 bytes each
  uint64_t memo_entries = 50'000'000;
  uint64_t stack_items = 10'000'000;
  uint64_t marks = 100'000;
  uint64_t line_bytes = 4096;      ///< of GLOBAL, INST, PERSID, GET, PUT, FLOAT, INT, LONG
  uint64_t text_bytes = 64 << 20;  ///< of one str; bytes are not copied and have no limit but the stream
};

/// How far the machine came. `failure` is empty where it reached STOP.
struct Trace {
  Graph graph;
  uint64_t end_bytes = 0;            ///< one past the last byte read, from the start of the stream
  std::optional<Error> failure;      ///< its offset counts from the start of the stream plus `first_byte`
  bool python_may_continue = false;  ///< failure: a limit, or a rule that Python does not enforce (PK03, PK06, PK07)
};

/// Runs the machine over the pickle at the start of `stream`, as far as it goes: for looking into files that nobody should
/// trust. Whatever the failure, everything that the stream had named or would have called before it is in the graph.
/// `first_byte` is added to every offset: where the stream lies in what the user knows.
Trace trace(Bytes stream, uint64_t first_byte = 0, const Limits& limits = {});

/// A whole pickle, from the start of `stream` to its STOP. Throws Error{malformed, truncated, limit} with the offset.
struct Pickle {
  Graph graph;
  uint64_t end_bytes;
};
Pickle parse(Bytes stream, uint64_t first_byte = 0, const Limits& limits = {});

}  // namespace depickle::pickle
