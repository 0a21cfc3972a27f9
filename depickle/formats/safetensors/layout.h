// The plan of a safetensors file: its header, and where each tensor goes. Nothing is written here.
//
//   byte 0          8               data_begin                          file_bytes
//        ├─ N, u64 ─┼─ JSON + spaces ─┼─ U64 … ─┼─ F32 … ─┼─ … BOOL ─────┤
//
// The same tensors give the same bytes as with the reference library; metadata, which that one writes in random order, is
// sorted, so equal models are equal files.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/dtype.h"
#include "depickle/formats/safetensors/header.h"

namespace depickle::safetensors {

/// A tensor to be written.
struct TensorSpec {
  std::string_view name;  ///< UTF-8
  Dtype dtype;
  std::span<const uint64_t> shape;  ///< logical elements, for F4 too; empty for a scalar
};

/// Where a tensor goes: bytes [begin, end) of the file.
struct Place {
  uint32_t spec;  ///< number of the spec, as they were given
  uint64_t begin, end;

  uint64_t size_bytes() const noexcept { return end - begin; }
};

/// A whole file. It holds the header's text once and 24 bytes for each tensor, and nothing of the specs it was made of.
struct FilePlan {
  std::string head;           ///< the file's first bytes, up to where the data begins: length, JSON, padding
  std::vector<Place> places;  ///< in the order of the file
  uint64_t file_bytes = 0;
};

/// Plans a file of `specs`: sorted by dtype (the largest elements first), then by name (bytes ascending), without gaps.
/// Metadata is sorted by key; nullopt writes none, {} an empty one. `align_bytes`, a power of two from 8 to 1 MiB, is where the
/// data section begins: the header is padded with spaces.
///
/// Throws Error{malformed} naming the tensor and the rule: ST04 text that is not UTF-8, ST12 repeated names, ST13 and ST14 sizes,
/// ST20 repeated metadata keys, ST24 the name `__metadata__`; Error{limit} ST02 where the header would be too large to be read;
/// Error{unsupported} for another `align_bytes`. O(n log n).
FilePlan plan_file(std::span<const TensorSpec> specs, const std::optional<Metadata>& metadata = std::nullopt,
    uint64_t align_bytes = 8);

}  // namespace depickle::safetensors
