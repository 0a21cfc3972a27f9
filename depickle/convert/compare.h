// Two tables of weights, tensor by tensor, bit by bit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"
#include "depickle/convert/report.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {

/// How one tensor is not the same on both sides.
struct Finding {
  enum class Kind { bytes, dtype, shape, only_in_a, only_in_b };
  Kind kind;
  std::string name;
  std::string a;         ///< what A has: "F32", "[2, 3]", or the differing element's bits as a number, "0x7fc00000"
  std::string b;         ///< what B has
  uint64_t element = 0;  ///< of Kind::bytes: the first that differs, counted in C order
};

/// `tensor "w": element 5 is 0x3f800000 in A and 0x3f800001 in B`; a and b are what the sides are called.
std::string describe(const Finding& finding, std::string_view a = "A", std::string_view b = "B");

struct Comparison {
  uint64_t tensors = 0;           ///< names on either side
  uint64_t identical = 0;         ///< of them, those that are the same bit for bit, tied names included
  uint64_t compared_bytes = 0;    ///< of each side
  std::vector<Finding> findings;  ///< in A's order, then what only B has
  std::vector<Tied> tied;

  bool same() const noexcept { return findings.empty(); }
};

struct CompareOptions {
  unsigned threads = default_threads();
  Progress progress = {};
  std::string_view file = {};  ///< what Progress calls the work
};

/// A comparison that goes on while one of the two is still being written.
class IncrementalCompare {
 public:
  IncrementalCompare(const Weights& a, const Weights& b, const CompareOptions& options = {});
  ~IncrementalCompare();
  IncrementalCompare(const IncrementalCompare&) = delete;

  /// Compares bytes [begin, end) of A's tensor number `tensor` with what B has under its name; they begin and end at multiples
  /// of unit_bytes(dtype). From several threads; no byte twice.
  void piece(uint32_t tensor, uint64_t begin, uint64_t end);
  /// Compares every tensor of which not all bytes were compared in pieces, and says what came of it all.
  Comparison finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Compares every tensor of both tables: dtype, shape and all bits, NaN payloads and -0.0 included. A name that one side lacks
/// but records in its metadata as a dropped name is compared with the tensor that it was kept as. Differences are findings; throws
/// only Error{cancelled} from the listener, or where bytes cannot be read.
/// Contiguous tensors are compared where they lie; at most 32 MiB of memory are taken for others.
Comparison compare(const Weights& a, const Weights& b, const CompareOptions& options = {});

}  // namespace depickle::convert
