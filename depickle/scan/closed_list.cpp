#include "depickle/scan/closed_list.h"

#include <algorithm>
#include <string_view>

#include "depickle/formats/torch/globals.h"

namespace depickle::scan {
namespace {

struct Name {
  std::string_view module, name;
};

// Plain values and containers. The builders are in formats/torch/globals.cpp.
constexpr Name kInert[] = {{"torch", "Size"}, {"torch", "device"}, {"torch", "Tensor"},
    {"torch.serialization", "_get_layout"}, {"collections", "deque"}, {"numpy", "ndarray"}, {"numpy", "dtype"},
    {"numpy.core.multiarray", "scalar"}, {"numpy._core.multiarray", "scalar"},
    {"torch.nested._internal.nested_tensor", "NestedTensor"}, {"torch._dynamo.decorators", "_DimRange"},
    {"torch.torch_version", "TorchVersion"}, {"torch", "per_tensor_affine"}, {"torch", "per_channel_affine"},
    {"torch", "per_tensor_symmetric"}, {"torch", "per_channel_symmetric"},
    {"torch", "per_channel_affine_float_qparams"}, {"torch.storage", "TypedStorage"},
    {"torch.jit._pickle", "build_intlist"}, {"torch.jit._pickle", "build_tensorlist"},
    {"torch.jit._pickle", "build_doublelist"}, {"torch.jit._pickle", "build_boollist"}};

constexpr std::string_view kInertBuiltins[] = {"set", "frozenset", "list", "tuple", "bytearray", "bytes", "complex",
    "int", "long", "float", "str", "unicode", "bool", "slice", "range", "xrange", "object"};

constexpr std::string_view kNumpyScalars[] = {"float16", "float32", "float64", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool_", "bool", "complex64", "complex128"};

}  // namespace

bool is_inert(const pickle::Global& global) noexcept {
  if (torch::find_builder(global)) return true;
  for (const Name& inert : kInert) {
    if (inert.name == global.name && inert.module == global.module) return true;
  }
  if (global.module == "builtins" || global.module == "__builtin__")
    return std::ranges::find(kInertBuiltins, global.name) != std::end(kInertBuiltins);
  if (global.module == "torch")
    return torch::find_dtype_object(global.name) != nullptr || torch::find_storage_class(global.name) != nullptr;
  if (global.module == "torch.cuda" || global.module == "torch.storage")
    return torch::find_storage_class(global.name) != nullptr;
  if (global.module == "numpy.dtypes")
    return global.name.ends_with("DType") && global.name.find('.') == global.name.npos;
  if (global.module == "numpy") return std::ranges::find(kNumpyScalars, global.name) != std::end(kNumpyScalars);
  return false;
}

}  // namespace depickle::scan
