// Tensors of each framework over bytes that Python objects hold.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "depickle/base/dtype.h"
#include "python/src/bind.h"

namespace depickle::python {

enum class FrameworkName { torch, numpy, tensorflow, jax, mlx, paddle };

/// By the names that safetensors takes: pt, torch, pytorch, np, numpy, tf, tensorflow, jax, flax, mlx, paddle.
std::optional<FrameworkName> find_framework(std::string_view name) noexcept;

/// Makes tensors of one framework, in two steps: a view of the bytes, which can be indexed, and from it the tensor.
/// One for the process; from several threads.
class Framework {
 public:
  virtual ~Framework() = default;

  /// Imports the framework the first time it is asked for. Throws ImportError.
  static const Framework& of(FrameworkName name);

  /// The bytes from `offset` of `buffer`, an object that exports writable bytes; the view keeps it alive and copies
  /// nothing. `shape` counts the framework's elements (F4: pairs). Throws SafetensorError for a dtype that the
  /// framework has not.
  virtual nb::object view(nb::handle buffer, uint64_t offset, Dtype dtype, std::span<const uint64_t> shape) const = 0;
  /// The tensor of what view() made, indexed perhaps.
  virtual nb::object finish(nb::object view, Dtype) const { return view; }

 protected:
  Framework() = default;
};

/// "Dtype not understood: F6_E2M3".
[[noreturn]] void raise_dtype_not_understood(Dtype dtype);

}  // namespace depickle::python
