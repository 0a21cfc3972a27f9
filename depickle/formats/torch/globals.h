// The globals of torch pickles that depickle interprets. A closed list: other globals are not interpreted.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "depickle/base/dtype.h"
#include "depickle/formats/pickle/graph.h"

namespace depickle::torch {

/// An element type of torch. `dtype` is empty if safetensors has no such type.
struct ElementType {
  std::string_view name;  ///< in torch: "float32", "complex128", "quint8"
  uint32_t bytes;
  std::optional<Dtype> dtype;
};

/// Finds a dtype by its name in torch: "float32", "half", "float8_e4m3fn". Returns nullptr if it is unknown.
const ElementType* find_dtype_object(std::string_view name) noexcept;
/// Finds the element type of a storage class, in any module: "FloatStorage"; "UntypedStorage" is uint8. Returns nullptr
/// if it is unknown.
const ElementType* find_storage_class(std::string_view name) noexcept;

/// The functions that build tensors and their parts. rebuild.cpp interprets them.
enum class BuilderFunction : uint8_t {
  tensor,
  tensor_v2,
  tensor_v3,
  parameter,
  parameter_with_state,
  from_type_v2,
  from_type,
  variable,
  old_tensor,
  cpu_tensor,
  qtensor,
  sparse,
  sparse_csr,
  nested,
  jagged,
  meta,
  wrapper,
  from_numpy,
  uninitialized,
  load_from_bytes,
  numpy_reconstruct,
  numpy_frombuffer,
  ordered_dict,
  dict_like,
  copyreg_reconstructor,
  codecs_encode,
};
/// Returns nullopt if the global is not one of these functions.
std::optional<BuilderFunction> find_builder(const pickle::Global& global) noexcept;

}  // namespace depickle::torch
