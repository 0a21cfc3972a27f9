// The layout of a safetensors file to be written: its header and the place of each tensor. Nothing is written here.
//
//   byte 0          8               data_begin                          file_bytes
//        ├─ N, u64 ─┼─ JSON + spaces ─┼─ U64 … ─┼─ F32 … ─┼─ … BOOL ─────┤
//
// The reference library writes the same bytes for the same tensors, except that it writes metadata in random order.
// Here metadata is sorted, so equal models are equal files.
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

/// The place of a tensor: bytes [begin, end) of the file.
struct Place {
  uint32_t spec;  ///< index into the specs passed to plan_file
  uint64_t begin, end;

  uint64_t size_bytes() const noexcept { return end - begin; }
};

/// The layout of a file: its header's text and 24 bytes for each tensor. It does not refer to the specs.
struct FilePlan {
  std::string head;           ///< the file's bytes before the data section: length, JSON, padding
  std::vector<Place> places;  ///< in the order of the file
  uint64_t file_bytes = 0;
};

/// Returns the layout of a file with the tensors `specs`, sorted by dtype (largest elements first), then by name (bytes
/// ascending), without gaps. Metadata is sorted by key; nullopt writes none, {} writes an empty object. The data
/// section begins at a multiple of `align_bytes`, a power of two from 8 to 1 MiB; the header is padded with spaces. O(n
/// log n).
///
/// Throws Error{malformed} with the tensor and the rule: ST04 text is not UTF-8, ST12 repeated names, ST13 and ST14
/// sizes, ST20 repeated metadata keys, ST24 the name `__metadata__`; Error{limit} ST02 if the header exceeds the
/// format's limit; Error{unsupported} for any other `align_bytes`.
FilePlan plan_file(std::span<const TensorSpec> specs, const std::optional<Metadata>& metadata = std::nullopt,
    uint64_t align_bytes = 8);

/// Throws Error{malformed} ST16 if the content of the tensor `spec` does not have the size that its dtype and shape
/// need.
void check_content_size(const TensorSpec& spec, uint64_t size_bytes);

}  // namespace depickle::safetensors
