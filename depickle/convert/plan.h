// What a converted file will be: which tensors, in which order, at which bytes. Pure: nothing is written, no data byte is read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "depickle/convert/tied.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {

struct PlanOptions {
  enum class Ties {
    once,  ///< exact duplicates are stored once, and the names that are dropped recorded as `__metadata__[dropped] = kept`
    copy,  ///< every name gets bytes of its own
  };
  Ties ties = Ties::once;
  TiedNames tied_names = {};
  uint64_t align_bytes =
      8;  ///< where the first tensor begins is a multiple of this: 8 as the reference writes, 64, 4096 …
  bool skip_unsupported = false;  ///< leave out what safetensors cannot hold, instead of refusing
};

/// A tensor and its place in the file to be.
struct Placed {
  uint32_t tensor;  ///< index into the source's tensors()
  uint64_t begin;   ///< bytes from the start of the file
  uint64_t end;     ///< one past the last byte
};

/// Two names of one tensor. The names belong to the Weights.
struct Alias {
  std::string_view dropped;
  std::string_view kept;
};

struct Plan {
  std::string head;             ///< the file's first bytes: header length, header, padding
  std::vector<Placed> tensors;  ///< in the order of their bytes, which follow the head without gaps
  std::vector<Alias> aliases;   ///< sorted by the dropped name
  uint64_t file_bytes = 0;
  uint64_t tensor_bytes = 0;
};

/// Plans the safetensors file for `source`: the bytes that the reference library would write for the same tensors.
///
/// Stored once are only exact duplicates: same storage, offset, dtype, shape, strides and flags, not empty. All other overlaps
/// are written in full, so whatever tensors share, nothing is refused for it. A tensor named "format" is never dropped: that key of the
/// metadata is taken.
///
/// Throws Error{unsupported} where there is no tensor, where one is named `__metadata__` (the format reserves the name), and, unless
/// they are to be skipped, where the source holds tensors that safetensors cannot; {limit} where the header would be too large.
/// O(n log n) in the number of tensors.
Plan plan(const Weights& source, const PlanOptions& options = {});

}  // namespace depickle::convert
