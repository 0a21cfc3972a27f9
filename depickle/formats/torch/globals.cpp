#include "depickle/formats/torch/globals.h"

#include <algorithm>
#include <array>
#include <span>

namespace depickle::torch {
namespace {

using std::nullopt;

// torch 2.13: every dtype that torch.save accepts. Sources: torch/serialization.py, torch/storage.py.
constexpr ElementType kElements[] = {
    {"float64", 8, Dtype::F64},
    {"float32", 4, Dtype::F32},
    {"float16", 2, Dtype::F16},
    {"bfloat16", 2, Dtype::BF16},
    {"int64", 8, Dtype::I64},
    {"int32", 4, Dtype::I32},
    {"int16", 2, Dtype::I16},
    {"int8", 1, Dtype::I8},
    {"uint8", 1, Dtype::U8},
    {"bool", 1, Dtype::BOOL},
    {"complex64", 8, Dtype::C64},
    {"complex128", 16, nullopt},
    {"complex32", 4, nullopt},
    {"uint16", 2, Dtype::U16},
    {"uint32", 4, Dtype::U32},
    {"uint64", 8, Dtype::U64},
    {"float8_e4m3fn", 1, Dtype::F8_E4M3},
    {"float8_e5m2", 1, Dtype::F8_E5M2},
    {"float8_e4m3fnuz", 1, Dtype::F8_E4M3FNUZ},
    {"float8_e5m2fnuz", 1, Dtype::F8_E5M2FNUZ},
    {"float8_e8m0fnu", 1, Dtype::F8_E8M0},
    {"float4_e2m1fn_x2", 1, Dtype::F4},
    {"qint8", 1, nullopt},
    {"quint8", 1, nullopt},
    {"qint32", 4, nullopt},
    {"quint4x2", 1, nullopt},
    {"quint2x4", 1, nullopt},
    {"bits8", 1, nullopt},
    {"bits16", 2, nullopt},
    {"bits1x8", 1, nullopt},
    {"bits2x4", 1, nullopt},
    {"bits4x2", 1, nullopt},
};

struct TypeAlias {
  std::string_view from, to;
};

constexpr TypeAlias kDtypeAliases[] = {{"float", "float32"}, {"double", "float64"}, {"half", "float16"},
    {"long", "int64"}, {"int", "int32"}, {"short", "int16"}, {"cfloat", "complex64"}, {"cdouble", "complex128"},
    {"chalf", "complex32"}};

constexpr TypeAlias kStorages[] = {{"DoubleStorage", "float64"}, {"FloatStorage", "float32"},
    {"HalfStorage", "float16"}, {"BFloat16Storage", "bfloat16"}, {"LongStorage", "int64"}, {"IntStorage", "int32"},
    {"ShortStorage", "int16"}, {"CharStorage", "int8"}, {"ByteStorage", "uint8"}, {"BoolStorage", "bool"},
    {"ComplexFloatStorage", "complex64"}, {"ComplexDoubleStorage", "complex128"}, {"ComplexHalfStorage", "complex32"},
    {"QInt8Storage", "qint8"}, {"QUInt8Storage", "quint8"}, {"QInt32Storage", "qint32"},
    {"QUInt4x2Storage", "quint4x2"}, {"QUInt2x4Storage", "quint2x4"}, {"UntypedStorage", "uint8"},
    {"_UntypedStorage", "uint8"}};

const ElementType* element(std::string_view name) noexcept {
  auto found = std::ranges::find(kElements, name, &ElementType::name);
  return found == std::end(kElements) ? nullptr : found;
}

const ElementType* aliased(std::span<const TypeAlias> aliases, std::string_view name) noexcept {
  auto found = std::ranges::find(aliases, name, &TypeAlias::from);
  return found == aliases.end() ? nullptr : element(found->to);
}

struct KnownBuilder {
  std::string_view module, name;
  BuilderFunction builder;
};

// Names are compared completely, never by prefix: a dotted name is an attribute chain that can reach any function.
constexpr KnownBuilder kBuilders[] = {
    {"torch._utils", "_rebuild_tensor_v2", BuilderFunction::tensor_v2},
    {"collections", "OrderedDict", BuilderFunction::ordered_dict},
    {"torch._utils", "_rebuild_parameter", BuilderFunction::parameter},
    {"torch._utils", "_rebuild_tensor", BuilderFunction::tensor},
    {"torch._utils", "_rebuild_tensor_v3", BuilderFunction::tensor_v3},
    {"torch._utils", "_rebuild_parameter_with_state", BuilderFunction::parameter_with_state},
    {"torch._tensor", "_rebuild_from_type_v2", BuilderFunction::from_type_v2},
    {"torch._tensor", "_rebuild_from_type", BuilderFunction::from_type},
    {"torch.tensor", "_rebuild_from_type", BuilderFunction::from_type},
    {"torch.nn.parameter", "Parameter", BuilderFunction::variable},
    {"torch.autograd.variable", "Variable", BuilderFunction::variable},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", BuilderFunction::cpu_tensor},
    {"torch._utils", "_rebuild_device_tensor_from_numpy", BuilderFunction::from_numpy},
    {"torch._utils", "_rebuild_xla_tensor", BuilderFunction::from_numpy},
    {"torch._utils", "_rebuild_qtensor", BuilderFunction::qtensor},
    {"torch._utils", "_rebuild_sparse_tensor", BuilderFunction::sparse},
    {"torch._utils", "_rebuild_sparse_csr_tensor", BuilderFunction::sparse_csr},
    {"torch._utils", "_rebuild_nested_tensor", BuilderFunction::nested},
    {"torch.nested._internal.nested_tensor", "_rebuild_njt", BuilderFunction::jagged},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", BuilderFunction::meta},
    {"torch._utils", "_rebuild_wrapper_subclass", BuilderFunction::wrapper},
    {"torch.nn.parameter", "UninitializedParameter", BuilderFunction::uninitialized},
    {"torch.nn.parameter", "UninitializedBuffer", BuilderFunction::uninitialized},
    {"torch.storage", "_load_from_bytes", BuilderFunction::load_from_bytes},
    {"numpy.core.multiarray", "_reconstruct", BuilderFunction::numpy_reconstruct},
    {"numpy._core.multiarray", "_reconstruct", BuilderFunction::numpy_reconstruct},
    {"numpy.core.numeric", "_frombuffer", BuilderFunction::numpy_frombuffer},
    {"numpy._core.numeric", "_frombuffer", BuilderFunction::numpy_frombuffer},
    {"collections", "defaultdict", BuilderFunction::dict_like},
    {"collections", "Counter", BuilderFunction::dict_like},
    {"builtins", "dict", BuilderFunction::dict_like},
    {"__builtin__", "dict", BuilderFunction::dict_like},
    {"copyreg", "_reconstructor", BuilderFunction::copyreg_reconstructor},
    {"copy_reg", "_reconstructor", BuilderFunction::copyreg_reconstructor},
    {"_codecs", "encode", BuilderFunction::codecs_encode},
};

// The tensor classes of torch before 0.2: "FloatTensor" in torch and torch.cuda.
bool is_old_tensor(const pickle::Global& global) {
  constexpr std::string_view kModules[] = {"torch", "torch.cuda"};
  if (std::ranges::find(kModules, global.module) == std::end(kModules) || !global.name.ends_with("Tensor") ||
      global.name == "Tensor")
    return false;
  std::string_view kind = global.name.substr(0, global.name.size() - 6);
  return std::ranges::any_of(kStorages, [&](const TypeAlias& storage) {
    return storage.from.substr(0, storage.from.size() - 7) == kind && !kind.empty();
  });
}

}  // namespace

const ElementType* find_dtype_object(std::string_view name) noexcept {
  const ElementType* found = element(name);
  return found ? found : aliased(kDtypeAliases, name);
}

const ElementType* find_storage_class(std::string_view name) noexcept { return aliased(kStorages, name); }

std::optional<BuilderFunction> find_builder(const pickle::Global& global) noexcept {
  for (const KnownBuilder& known : kBuilders) {
    if (known.name == global.name && known.module == global.module) return known.builder;
  }
  if (is_old_tensor(global)) return BuilderFunction::old_tensor;
  return nullopt;
}

}  // namespace depickle::torch
