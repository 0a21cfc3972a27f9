// A tensor in any container: a name, a dtype and a shape over bytes of a storage. It does not own bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "depickle/base/dtype.h"
#include "depickle/base/source.h"

namespace depickle {

/// Bytes that tensors refer to: one record of a torch file, or the data section of a safetensors file.
struct Storage {
  std::string_view key;  ///< the name in the container
  std::shared_ptr<const ByteSource> source;
  uint64_t offset_bytes = 0;  ///< from the start of `source`
  uint64_t size_bytes = 0;
  uint32_t crc = 0;  ///< CRC-32 of the bytes according to the container; 0 if there is none

  Bytes bytes() const { return source->view(offset_bytes, size_bytes); }
};

/// A view of a storage. The table of the tensor owns its name, shape and strides.
///
/// Strides and `offset_bytes` are valid: every element is within the storage. Sub-byte dtypes are packed; their strides
/// count bytes (`unit_bytes`), and in the last dimension one byte is a pair of F4.
struct Tensor {
  std::string_view name;              ///< UTF-8
  std::span<const uint64_t> shape;    ///< elements; empty for a scalar
  std::span<const uint64_t> strides;  ///< in units of unit_bytes(dtype); empty means C order without gaps
  uint64_t offset_bytes = 0;          ///< of the first element, from the start of the storage
  uint64_t size_bytes = 0;            ///< of the elements in C order
  uint32_t storage = 0;               ///< index into the table's storages
  Dtype dtype = Dtype::U8;
  bool conjugate = false;  ///< the imaginary parts are to be negated
  bool negate = false;     ///< all values are to be negated
  bool swap = false;       ///< the bytes of each element (of each half of a C64) are to be reversed

  /// Whether the elements in C order are the storage's bytes [offset_bytes, offset_bytes + size_bytes), unchanged.
  bool is_contiguous() const noexcept;
};

/// Returns the size of a tensor; nullopt if the product overflows 2^64 bits or does not end on a byte boundary.
std::optional<uint64_t> tensor_bytes(Dtype dtype, std::span<const uint64_t> shape) noexcept;

/// Whether the strides are those of C order. Strides of dimensions of size 1 are ignored; all are if a dimension is 0.
bool is_c_order(Dtype dtype, std::span<const uint64_t> shape, std::span<const uint64_t> strides) noexcept;

}  // namespace depickle
