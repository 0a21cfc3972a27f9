// Compares two tables of weights, tensor by tensor, bit for bit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"
#include "depickle/convert/report.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {

enum class DifferenceKind { bytes, dtype, shape, only_in_a, only_in_b };

/// How one tensor differs between the two tables.
struct Difference {
  DifferenceKind kind;
  std::string name;
  std::string a;         ///< the value in A: "F32", "[2, 3]", or the bits of the differing element, "0x7fc00000"
  std::string b;         ///< the value in B
  uint64_t element = 0;  ///< of kind bytes: the index of the first differing element in C order
};

/// Returns `tensor "w": element 5 is 0x3f800000 in A and 0x3f800001 in B`. `a` and `b` name the two tables.
std::string describe(const Difference& difference, std::string_view a = "A", std::string_view b = "B");

struct Comparison {
  uint64_t tensors = 0;                 ///< number of names in either table
  uint64_t identical = 0;               ///< how many of them are identical bit for bit, tied names included
  uint64_t compared_bytes = 0;          ///< of each table
  std::vector<Difference> differences;  ///< in A's order, then the tensors that only B contains
  std::vector<Tied> tied;

  bool is_identical() const noexcept { return differences.empty(); }
};

struct CompareOptions {
  unsigned threads = default_threads();
  Progress progress = {};
  std::string_view file = {};  ///< the file name in progress reports
};

/// Compares two tables while B is still being written.
class IncrementalCompare {
 public:
  IncrementalCompare(const Weights& a, const Weights& b, const CompareOptions& options = {});
  ~IncrementalCompare();
  IncrementalCompare(const IncrementalCompare&) = delete;

  /// Compares bytes [begin, end) of A's tensor number `tensor` with the tensor of the same name in B. Both offsets are
  /// multiples of unit_bytes(dtype). Thread-safe; pass each byte at most once.
  void piece(uint32_t tensor, uint64_t begin, uint64_t end);
  /// Compares every tensor that was not completely compared in pieces, and returns the result for all tensors.
  Comparison finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Compares every tensor of both tables: dtype, shape and all bits, including NaN payloads and -0.0. If one table lacks
/// a name but records it in its metadata as dropped, the tensor that was kept is compared. Differences are returned,
/// not thrown. Throws Error{cancelled} from the listener, and errors of reading.
/// Contiguous tensors are compared in place; other tensors need at most 32 MiB of memory.
Comparison compare(const Weights& a, const Weights& b, const CompareOptions& options = {});

}  // namespace depickle::convert
