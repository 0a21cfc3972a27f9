// What a file holds besides the tensors of its table.
#pragma once

#include <cstdint>
#include <string>

namespace depickle {

/// Something in the file that is no tensor of the table: training state, a number, an object. One entry for the largest
/// part that holds no tensor of the table.
struct Unused {
  std::string path;         ///< keys and attributes from the root, joined by "."
  std::string description;  ///< "dict, 12 items", "int 3", "object argparse.Namespace"
  uint64_t tensors = 0;     ///< tensors inside
};

/// A tensor that safetensors cannot hold as it is: quantized, sparse, complex128 … It is not in the table.
struct Unsupported {
  std::string name;
  std::string what;  ///< "complex128, shape [2, 3]"
};

}  // namespace depickle
