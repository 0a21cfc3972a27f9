// What the names in a torch pickle mean. A closed list: what is not on it is data that nobody interprets.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "depickle/base/dtype.h"
#include "depickle/formats/pickle/graph.h"

namespace depickle::torch {

/// How torch stores an element. `dtype` is empty where safetensors has no such type.
struct ElementType {
  std::string_view name;  ///< torch's: "float32", "complex128", "quint8"
  uint32_t bytes;
  std::optional<Dtype> dtype;
};

/// By the name of a dtype object: "float32", "half", "float8_e4m3fn". nullptr where there is none.
const ElementType* find_dtype_object(std::string_view name) noexcept;
/// By the name of a storage class, whatever its module: "FloatStorage"; "UntypedStorage" is uint8.
const ElementType* find_storage_class(std::string_view name) noexcept;

/// The builders that rebuild.cpp interprets.
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
std::optional<BuilderFunction> find_builder(const pickle::Global& global) noexcept;

}  // namespace depickle::torch
