// Creates tensors of each framework over the memory of Python objects.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "depickle/base/dtype.h"
#include "python/src/bind.h"

namespace depickle::python {

enum class FrameworkName { torch, numpy, tensorflow, jax, mlx, paddle };

/// Returns the framework for a name that safetensors accepts: pt, torch, pytorch, np, numpy, tf, tensorflow, jax, flax,
/// mlx, paddle.
std::optional<FrameworkName> find_framework(std::string_view name) noexcept;

/// Creates tensors of one framework in two steps: a view of the bytes, which can be indexed, and the tensor from the
/// view. One object per framework and process. Thread-safe.
class Framework {
 public:
  virtual ~Framework() = default;

  /// Returns the framework and imports it at the first call. Throws ImportError.
  static const Framework& of(FrameworkName name);

  /// Returns a view, without a copy, of the bytes at `offset` of `buffer`, an object that exports writable bytes. The
  /// view keeps `buffer` alive. `shape` counts the framework's elements (F4: pairs). Throws SafetensorError if the
  /// framework does not support `dtype`.
  virtual nb::object view(nb::handle buffer, uint64_t offset, Dtype dtype, std::span<const uint64_t> shape) const = 0;
  /// Returns the tensor for the result of view(), which may have been indexed.
  virtual nb::object finish(nb::object view, Dtype) const { return view; }

 protected:
  Framework() = default;
};

/// Raises SafetensorError: "Dtype not understood: F6_E2M3".
[[noreturn]] void raise_dtype_not_understood(Dtype dtype);

}  // namespace depickle::python
