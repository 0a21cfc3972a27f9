// Python's description of a tensor to save.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/base/dtype.h"
#include "python/src/bind.h"

namespace depickle::python {

/// Dtype, shape and address of a tensor's bytes. The caller keeps the bytes alive.
class TensorSpec {
 public:
  /// `dtype` is the frameworks' name ("float32"), `shape` the framework's shape. Throws SafetensorError for an unknown
  /// dtype.
  TensorSpec(std::string_view dtype, std::vector<uint64_t> shape, uint64_t data_ptr, uint64_t data_len);

  Dtype dtype() const noexcept { return dtype_; }
  /// The shape in the header: F4 counts elements, not pairs.
  const std::vector<uint64_t>& shape() const noexcept { return shape_; }
  Bytes bytes() const noexcept { return bytes_; }

 private:
  Dtype dtype_;
  std::vector<uint64_t> shape_;
  Bytes bytes_;
};

/// The contiguous bytes of an object with the buffer protocol, exported for the lifetime of this object. Throws
/// TypeError, BufferError.
class Buffer {
 public:
  explicit Buffer(nb::handle object);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  Bytes bytes() const noexcept { return {static_cast<const std::byte*>(view_.buf), static_cast<size_t>(view_.len)}; }

 private:
  Py_buffer view_;
};

/// Throws TypeError if `value` is not an integer, OverflowError if it is not in [0, 2^64 - 1].
uint64_t whole_number(nb::handle value);
/// Returns the shape in a sequence of integers.
std::vector<uint64_t> shape_of(nb::handle sequence);

}  // namespace depickle::python
