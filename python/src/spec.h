// A tensor to be saved, as Python describes it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/base/dtype.h"
#include "python/src/bind.h"

namespace depickle::python {

/// dtype, shape and the place of the bytes, which somebody else keeps alive.
class TensorSpec {
 public:
  /// `dtype` by the frameworks' name ("float32"), `shape` as a framework has it. Throws SafetensorError for an unknown dtype.
  TensorSpec(std::string_view dtype, std::vector<uint64_t> shape, uint64_t data_ptr, uint64_t data_len);

  Dtype dtype() const noexcept { return dtype_; }
  /// Of the header: F4 counts elements, not pairs.
  const std::vector<uint64_t>& shape() const noexcept { return shape_; }
  Bytes bytes() const noexcept { return bytes_; }

 private:
  Dtype dtype_;
  std::vector<uint64_t> shape_;
  Bytes bytes_;
};

/// The contiguous bytes of any object that exports them, for as long as it lives. Throws TypeError, BufferError.
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

/// Throws TypeError for what is no integer, OverflowError for one that is not from 0 to 2^64 - 1.
uint64_t whole_number(nb::handle value);
/// Of any sequence of such.
std::vector<uint64_t> shape_of(nb::handle sequence);

}  // namespace depickle::python
