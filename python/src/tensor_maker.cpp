#include "python/src/tensor_maker.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "python/src/errors.h"
#include "python/src/objects.h"
#include "python/src/torch_tensor.h"

namespace depickle::python {
namespace {

using depickle::torch::ElementType;
using depickle::torch::PlacedTensor;
using depickle::torch::StorageView;

nb::object interned(const char* name) { return take(PyUnicode_InternFromString(name)); }

// The functions of torch that are called for each tensor.
struct TorchObjects {
  nb::module_ module = nb::module_::import_("torch");
  nb::object empty = module.attr("empty"), untyped_storage_class = module.attr("UntypedStorage"),
             typed_storage_class = module.attr("storage").attr("TypedStorage"),
             parameter_class = module.attr("nn").attr("Parameter"),
             make_subclass = module.attr("Tensor").attr("_make_subclass"), uint8 = module.attr("uint8"),
             cpu = module.attr("device")("cpu");
  nb::object set = interned("set_"), untyped_storage = interned("untyped_storage");
  nb::object empty_names = nb::make_tuple("dtype", "device");
};

uint64_t count_of(std::span<const uint64_t> shape) {
  uint64_t count = 1;
  for (uint64_t size : shape)
    if (__builtin_mul_overflow(count, size, &count)) return UINT64_MAX;
  return count;
}

// Whether the strides are exactly those of a new tensor in torch.
bool has_default_strides(const PlacedTensor& placed) {
  uint64_t stride = 1;
  for (size_t i = placed.shape.size(); i-- > 0;) {
    if (placed.strides[i] != stride) return false;
    stride *= std::max<uint64_t>(placed.shape[i], 1);
  }
  return true;
}

uint32_t swapped_unit(const ElementType& element) {
  return element.name.starts_with("complex") ? element.bytes / 2 : element.bytes;
}

}  // namespace

nb::object readable(std::string_view text) {
  return take(PyUnicode_DecodeUTF8(text.data(), std::ssize(text), "backslashreplace"));
}

nb::object torch_dtype(const ElementType& element) {
  return shared<TorchObjects>().module.attr(std::string(element.name).c_str());
}

TensorMaker::TensorMaker(const torch::Contents& contents, FileBuffer file, Restore restore)
    : contents_(contents),
      file_(std::move(file)),
      file_bytes_(file_.source->all()),
      restore_(std::move(restore)) {}

// Storages inside the pickle are added while it is read, so the vector grows.
TensorMaker::LoadedStorage& TensorMaker::loaded(uint32_t storage) {
  if (storage >= loaded_.size()) loaded_.resize(contents_.storages.size());
  return loaded_[storage];
}

bool TensorMaker::is_swapped(const StorageView& view) const {
  return contents_.big_endian && swapped_unit(*view.element) > 1;
}

bool TensorMaker::is_restored(const StorageView& view) const {
  return !restore_.storage.is_none() && (restore_.also_of_cpu || view.location != "cpu");
}

std::pair<nb::object, uint64_t> TensorMaker::bytes_of(const StorageView& view) {
  Bytes bytes = contents_.storages[view.storage].bytes();
  bool is_in_file = bytes.data() >= file_bytes_.data() && bytes.size() <= file_bytes_.size() &&
                    bytes.data() <= file_bytes_.data() + (file_bytes_.size() - bytes.size());
  if (is_in_file && !is_swapped(view)) return {file_.buffer, static_cast<uint64_t>(bytes.data() - file_bytes_.data())};

  nb::object copy = take(PyByteArray_FromStringAndSize(nullptr, std::ssize(bytes)));
  auto* out = reinterpret_cast<std::byte*>(PyByteArray_AS_STRING(copy.ptr()));
  without_gil([&] {
    std::ranges::copy(bytes, out);
    const size_t unit = swapped_unit(*view.element);
    if (!is_swapped(view)) return;
    for (size_t at = 0; at + unit <= bytes.size(); at += unit) std::reverse(out + at, out + at + unit);
  });
  return {copy, 0};
}

const nb::object& TensorMaker::untyped(const StorageView& view) {
  LoadedStorage& known = loaded(view.storage);
  if (known.untyped.is_valid()) return known.untyped;
  const TorchObjects& torch = shared<TorchObjects>();
  const uint64_t size_bytes = contents_.storages[view.storage].size_bytes;
  nb::object tensor = known.tensor;
  if (!tensor.is_valid() && size_bytes > 0) {
    auto [buffer, offset] = bytes_of(view);
    tensor = torch_tensor(buffer, offset, torch.uint8, "uint8", {{size_bytes}});
  }
  nb::object untyped = tensor.is_valid() ? tensor.attr(torch.untyped_storage)() : torch.untyped_storage_class(0);
  if (is_restored(view)) {
    restore_failed_ = true;
    untyped = restore_.storage(untyped, readable(view.location));
    if (!nb::isinstance(untyped, torch.untyped_storage_class))
      raise(PyExc_TypeError, "map_location did not return a torch.UntypedStorage");
    restore_failed_ = false;
  }
  known.untyped = std::move(untyped);
  return known.untyped;
}

bool TensorMaker::covers(const PlacedTensor& placed) const {
  const StorageView& view = placed.storage;
  const uint64_t size_bytes = contents_.storages[view.storage].size_bytes;
  return placed.offset == 0 && view.offset_bytes == 0 && size_bytes > 0 && size_bytes % view.element->bytes == 0 &&
         count_of(placed.shape) == size_bytes / view.element->bytes && has_default_strides(placed);
}

// Much faster than creating a storage first. Most tensors are the only one on their storage.
nb::object TensorMaker::covering(const PlacedTensor& placed) {
  const ElementType& element = *placed.storage.element;
  auto [buffer, offset] = bytes_of(placed.storage);
  return torch_tensor(buffer, offset, torch_dtype(element), element.name, placed.shape);
}

nb::object TensorMaker::tensor(const PlacedTensor& placed) {
  const StorageView& view = placed.storage;
  LoadedStorage& known = loaded(view.storage);
  if (!known.untyped.is_valid() && !known.tensor.is_valid() && covers(placed) && !is_restored(view))
    return known.tensor = covering(placed);

  const uint32_t unit = view.element->bytes;
  if (view.offset_bytes % unit != 0)
    throw Error(Code::malformed, "TT05", fmt::format("a view of {} does not start at an element", view.element->name));
  const TorchObjects& torch = shared<TorchObjects>();
  const nb::object& storage = untyped(view);
  nb::object dtype = torch_dtype(*view.element),
             device = is_restored(view) ? nb::object(storage.attr("device")) : torch.cpu;
  nb::object zero = number(0), offset = number(placed.offset + view.offset_bytes / unit);
  nb::object shape = tuple_of(placed.shape), strides = tuple_of(placed.strides);
  PyObject* empty_arguments[] = {zero.ptr(), dtype.ptr(), device.ptr()};
  nb::object tensor = take(PyObject_Vectorcall(torch.empty.ptr(), empty_arguments, 1, torch.empty_names.ptr()));
  PyObject* arguments[] = {tensor.ptr(), storage.ptr(), offset.ptr(), shape.ptr(), strides.ptr()};
  take(PyObject_VectorcallMethod(torch.set.ptr(), arguments, 5, nullptr));
  return tensor;
}

nb::object TensorMaker::typed_storage(const StorageView& view) {
  nb::object storage = untyped(view);
  if (view.offset_bytes != 0 || view.size_bytes != contents_.storages[view.storage].size_bytes)
    storage = storage[nb::slice(number(view.offset_bytes), number(view.offset_bytes + view.size_bytes), nb::none())];
  return shared<TorchObjects>().typed_storage_class(
      nb::arg("wrap_storage") = storage, nb::arg("dtype") = torch_dtype(*view.element), nb::arg("_internal") = true);
}

nb::object TensorMaker::parameter(nb::handle data, nb::handle requires_grad) const {
  const TorchObjects& torch = shared<TorchObjects>();
  return torch.make_subclass(torch.parameter_class, data, requires_grad);
}

}  // namespace depickle::python
