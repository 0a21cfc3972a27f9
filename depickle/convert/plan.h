// Plans a converted file: its tensors, their order and their offsets. Writes nothing and reads no tensor data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "depickle/convert/tied.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {

struct PlanOptions {
  enum class Ties {
    once,  ///< store exact duplicates once and record each dropped name as `__metadata__[dropped] = kept`
    copy,  ///< store the bytes of every name
  };
  Ties ties = Ties::once;
  TiedNames tied_names = {};
  uint64_t align_bytes = 8;       ///< the first tensor begins at a multiple of this; 8, like the reference, 64 or 4096
  bool skip_unsupported = false;  ///< leave out tensors that safetensors cannot represent, instead of throwing
};

/// A tensor and its place in the new file.
struct TensorPlacement {
  uint32_t tensor;  ///< index into the source's tensors()
  uint64_t begin;   ///< offset from the start of the file
  uint64_t end;     ///< one past the last byte
};

/// Two names of one tensor. The Weights own the names.
struct Alias {
  std::string_view dropped;
  std::string_view kept;
};

struct ConversionPlan {
  std::string head;                      ///< the file's first bytes: header length, header, padding
  std::vector<TensorPlacement> tensors;  ///< in file order; they follow the head without gaps
  std::vector<Alias> aliases;            ///< sorted by the dropped name
  uint64_t file_bytes = 0;
  uint64_t tensor_bytes = 0;
};

/// Plans the safetensors file for `source`: the bytes that the reference library would write for the same tensors.
///
/// Only exact duplicates are stored once: equal storage, offset, dtype, shape, strides and flags, and not empty. All
/// other overlapping tensors are written in full. A tensor named "format" is never dropped, because the metadata
/// already uses that key.
///
/// Throws Error{unsupported} if the source contains no tensors, if a tensor is named `__metadata__` (the format
/// reserves the name), or if the source contains tensors that safetensors cannot represent and skip_unsupported is
/// false; Error{limit} if the header would be too large. O(n log n) in the number of tensors.
ConversionPlan plan_conversion(const Weights& source, const PlanOptions& options = {});

}  // namespace depickle::convert
