#include "python/src/spec.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "python/src/errors.h"

namespace depickle::python {
namespace {

// In the order of upstream's message.
constexpr std::pair<std::string_view, Dtype> kNames[] = {{"bool", Dtype::BOOL}, {"int8", Dtype::I8},
    {"uint8", Dtype::U8}, {"int16", Dtype::I16}, {"uint16", Dtype::U16}, {"int32", Dtype::I32}, {"uint32", Dtype::U32},
    {"int64", Dtype::I64}, {"uint64", Dtype::U64}, {"float16", Dtype::F16}, {"float32", Dtype::F32},
    {"float64", Dtype::F64}, {"bfloat16", Dtype::BF16}, {"float8_e4m3fn", Dtype::F8_E4M3},
    {"float8_e4m3fnuz", Dtype::F8_E4M3FNUZ}, {"float8_e5m2", Dtype::F8_E5M2}, {"float8_e5m2fnuz", Dtype::F8_E5M2FNUZ},
    {"float8_e8m0fnu", Dtype::F8_E8M0}, {"float4_e2m1fn_x2", Dtype::F4}, {"complex64", Dtype::C64}};

Dtype dtype_of(std::string_view name) {
  std::string supported;
  for (const auto& [spelled, dtype] : kNames) {
    if (spelled == name) return dtype;
    supported.append(supported.empty() ? "" : ", ").append(spelled);
  }
  raise_safetensor_error(fmt::format("Unknown dtype \"{}\". Supported dtypes: {}", name, supported));
}

}  // namespace

TensorSpec::TensorSpec(std::string_view dtype, std::vector<uint64_t> shape, uint64_t data_ptr, uint64_t data_len)
    : dtype_(dtype_of(dtype)),
      shape_(std::move(shape)),
      bytes_(reinterpret_cast<const std::byte*>(data_ptr), data_len) {
  if (dtype_ != Dtype::F4 || shape_.empty()) return;
  if (shape_.back() > UINT64_MAX / 2)
    raise_safetensor_error(fmt::format("F4 last-dim {} doubled to logical shape overflows usize", shape_.back()));
  shape_.back() *= 2;
}

Buffer::Buffer(nb::handle object) {
  if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw nb::python_error();
}
Buffer::~Buffer() { PyBuffer_Release(&view_); }

uint64_t whole_number(nb::handle value) {
  nb::object number = nb::steal(PyNumber_Index(value.ptr()));
  if (!number.is_valid()) throw nb::python_error();
  const uint64_t result = PyLong_AsUnsignedLongLong(number.ptr());
  if (PyErr_Occurred()) throw nb::python_error();
  return result;
}

std::vector<uint64_t> shape_of(nb::handle sequence) {
  if (nb::isinstance<nb::str>(sequence))
    raise(PyExc_TypeError, "argument 'shape': expected a sequence of integers, not str");
  std::vector<uint64_t> shape;
  for (nb::handle size : sequence) shape.push_back(whole_number(size));
  return shape;
}

}  // namespace depickle::python
