// The parts of a file that are not in the table of tensors.
#pragma once

#include <cstdint>
#include <string>

namespace depickle {

/// A part of the file without tensors of the table: training state, a number, an object. Nested parts are one entry:
/// the outermost.
struct Unused {
  std::string path;         ///< keys and attributes from the root, joined with "."
  std::string description;  ///< "dict, 12 items", "int 3", "object argparse.Namespace"
  uint64_t tensors = 0;     ///< tensors inside
};

/// A tensor that safetensors cannot represent: quantized, sparse, complex128 … It is not in the table.
struct Unsupported {
  std::string name;
  std::string what;  ///< "complex128, shape [2, 3]"
};

}  // namespace depickle
