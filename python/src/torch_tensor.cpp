#include "python/src/torch_tensor.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include <nanobind/ndarray.h>

#include "python/src/mapping.h"
#include "python/src/objects.h"

namespace depickle::python {
namespace {

using DtypeCode = nb::dlpack::dtype_code;

// The functions of torch that are called for each tensor.
struct TorchCalls {
  nb::module_ module = nb::module_::import_("torch");
  nb::object empty = module.attr("empty"), frombuffer = module.attr("frombuffer"),
             from_dlpack = nb::module_::import_("torch.utils.dlpack").attr("from_dlpack");
  nb::object empty_names = nb::make_tuple("dtype"), frombuffer_names = nb::make_tuple("dtype", "count", "offset");

  TorchCalls() {
    // The same function without its Python wrapper.
    from_dlpack = nb::getattr(module.attr("_C"), "_from_dlpack", from_dlpack);
  }
};

struct Known {
  std::string_view name;
  nb::dlpack::dtype dtype;
};
constexpr nb::dlpack::dtype type(DtypeCode code, uint8_t bits) { return {static_cast<uint8_t>(code), bits, 1}; }
constexpr Known kKnown[] = {{"float32", type(DtypeCode::Float, 32)}, {"float16", type(DtypeCode::Float, 16)},
    {"bfloat16", type(DtypeCode::Bfloat, 16)}, {"float64", type(DtypeCode::Float, 64)},
    {"int64", type(DtypeCode::Int, 64)}, {"int32", type(DtypeCode::Int, 32)}, {"int16", type(DtypeCode::Int, 16)},
    {"int8", type(DtypeCode::Int, 8)}, {"uint8", type(DtypeCode::UInt, 8)}, {"bool", type(DtypeCode::Bool, 8)},
    {"complex64", type(DtypeCode::Complex, 64)}};

// DLPack's DLManagedTensor, followed by the data that it points to.
struct Managed {
  nb::dlpack::dltensor tensor;
  void* context;
  void (*deleter)(Managed*);
  PyObject* owner;
  int64_t shape[1];
};

void release(Managed* managed) {
  if (Py_IsInitialized()) {
    const PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF(managed->owner);
    PyGILState_Release(state);
  }
  std::free(managed);
}

// Frees a capsule that was not consumed.
void release_capsule(PyObject* capsule) {
  if (PyCapsule_IsValid(capsule, "dltensor")) release(static_cast<Managed*>(PyCapsule_GetPointer(capsule, "dltensor")));
}

std::byte* bytes_in(nb::handle buffer) {
  if (PyByteArray_CheckExact(buffer.ptr())) return reinterpret_cast<std::byte*>(PyByteArray_AS_STRING(buffer.ptr()));
  return mapping_of(buffer).data();
}

nb::object capsule_of(nb::handle buffer, uint64_t offset, nb::dlpack::dtype dtype, std::span<const uint64_t> shape) {
  auto* managed = static_cast<Managed*>(std::malloc(sizeof(Managed) + shape.size() * sizeof(int64_t)));
  if (!managed) throw std::bad_alloc();
  std::ranges::copy(shape, managed->shape);
  managed->tensor = {.data = bytes_in(buffer) + offset,
      .device = {1, 0},  // kDLCPU
      .ndim = static_cast<int32_t>(shape.size()),
      .dtype = dtype,
      .shape = managed->shape,
      .strides = nullptr,
      .byte_offset = 0};
  managed->context = nullptr;
  managed->deleter = release;
  managed->owner = buffer.inc_ref().ptr();
  PyObject* capsule = PyCapsule_New(managed, "dltensor", release_capsule);
  if (!capsule) release(managed);
  return take(capsule);
}

}  // namespace

nb::object torch_tensor(nb::handle buffer, uint64_t offset, nb::handle dtype, std::string_view dtype_name,
    std::span<const uint64_t> shape) {
  const TorchCalls& torch = shared<TorchCalls>();
  uint64_t count = 1;
  for (uint64_t size : shape) count *= size;
  if (count == 0) {
    nb::object sizes = tuple_of(shape);
    PyObject* arguments[] = {sizes.ptr(), dtype.ptr()};
    return take(PyObject_Vectorcall(torch.empty.ptr(), arguments, 1, torch.empty_names.ptr()));
  }
  const auto* known = std::ranges::find(kKnown, dtype_name, &Known::name);
  if (known != std::end(kKnown)) {
    nb::object capsule = capsule_of(buffer, offset, known->dtype, shape);
    return take(PyObject_CallOneArg(torch.from_dlpack.ptr(), capsule.ptr()));
  }
  nb::object count_number = number(count), offset_number = number(offset);
  PyObject* arguments[] = {buffer.ptr(), dtype.ptr(), count_number.ptr(), offset_number.ptr()};
  nb::object flat = take(PyObject_Vectorcall(torch.frombuffer.ptr(), arguments, 1, torch.frombuffer_names.ptr()));
  return shape.size() == 1 ? flat : flat.attr("resize_")(tuple_of(shape));  // unlike view(), the result is not a view
}

}  // namespace depickle::python
