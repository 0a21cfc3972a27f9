#include "python/src/open_file.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "python/src/errors.h"
#include "python/src/file_reads.h"
#include "python/src/objects.h"
#include "python/src/slice_index.h"

namespace depickle::python {
namespace {

using safetensors::Entry;
using safetensors::Header;

std::string_view shown_name(FrameworkName framework) {
  constexpr std::string_view kNames[] = {"pytorch", "numpy", "tensorflow", "flax", "mlx", "paddle"};
  return kNames[static_cast<size_t>(framework)];
}

// "cuda", "cuda:1" …
bool is_accelerator(std::string_view device) {
  constexpr std::string_view kTypes[] = {"cuda", "musa", "npu", "xpu", "xla", "mlu", "hpu"};
  const size_t colon = device.find(':');
  const std::string_view type = device.substr(0, colon);
  const std::string_view number = colon == device.npos ? "0" : device.substr(colon + 1);
  return std::ranges::find(kTypes, type) != std::end(kTypes) && !number.empty() && number.size() < 10 &&
         std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_torch_device(nb::handle device) {
  nb::handle type = device.type();
  return nb::str(type.attr("__module__")).equal(nb::str("torch")) &&
         nb::str(type.attr("__name__")).equal(nb::str("device"));
}

std::string plain_text(nb::handle object) { return nb::str(object).c_str(); }

// Upstream shows "cuda" as "cuda:0".
std::string shown_device(nb::handle device) {
  std::string text = plain_text(device);
  return is_accelerator(text) && text.find(':') == text.npos ? text + ":0" : text;
}

// Returns an invalid object for the CPU.
nb::object find_device(nb::handle device) {
  if (device.is_none()) return {};
  if (nb::isinstance<nb::int_>(device)) return nb::borrow(device);
  const bool is_object = is_torch_device(device);
  if (is_object && nb::cast<std::string>(device.attr("type")) == "cpu") return {};
  if (!is_object && !nb::isinstance<nb::str>(device))
    raise_safetensor_error(fmt::format("device {} is invalid", nb::repr(device).c_str()));
  const std::string text = plain_text(device);
  if (text == "cpu") return {};
  if (text == "mps" || text == "mps:0" || is_accelerator(text)) return nb::str(text.c_str());
  raise_safetensor_error(
      fmt::format("device {} is invalid{}", text, text.starts_with("mps:") ? ": only mps or mps:0 is supported" : ""));
}

// Guards the mapping while the header is read: if the file is truncated meanwhile, the result is an error, not a crash.
Header read_header(const os::MappedFile& source) {
  std::optional<TruncationGuard> guard;
  if (source.size_bytes() > 0) guard.emplace(source.all(), source.descriptor(), source.name());
  std::optional<Header> header;
  std::optional<Error> failure;
  without_gil([&] {
    try {
      header = Header::read(source);
    } catch (const Error& error) {
      failure = error;
    }
  });
  if (guard) guard->check();
  if (failure) raise_as_safetensors(*failure, "Error while deserializing header: ");
  return std::move(*header);
}

// A bytearray for a tensor that does not point into a mapping. Not initialized.
struct Memory {
  explicit Memory(uint64_t size_bytes)
      : object(nb::steal(PyByteArray_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size_bytes)))) {
    if (!object.is_valid()) throw nb::python_error();
    bytes = {reinterpret_cast<std::byte*>(PyByteArray_AS_STRING(object.ptr())), size_bytes};
  }
  nb::object object;
  MutableBytes bytes;
};

// Calls `work` without the GIL. Raises OSError if the file was truncated.
template <typename Work>
void read_without_gil(const os::MappedFile& file, Work&& work) {
  try {
    without_gil(work);
  } catch (const Error& error) {
    if (error.code() == Code::integrity) raise_os_error(EIO, error.message(), file.name());
    raise(error, safetensor_error());
  }
}

// With an ellipsis, numpy returns an array without dimensions instead of a scalar.
nb::object with_ellipsis(nb::handle index) {
  nb::object items = nb::isinstance<nb::tuple>(index) ? nb::borrow(index) : nb::object(nb::make_tuple(index));
  return items + nb::make_tuple(nb::ellipsis());
}

}  // namespace

TensorOptions TensorOptions::of(
    std::string_view framework, nb::handle device, const std::optional<std::string>& backend) {
  auto found = find_framework(framework);
  if (!found) raise_safetensor_error(fmt::format("framework {} is invalid", framework));
  TensorOptions options{*found, find_device(device), Backend::automatic};
  if (options.device.is_valid() && *found != FrameworkName::torch && *found != FrameworkName::paddle)
    raise_safetensor_error(
        fmt::format("Device {} is not supported for framework {}", shown_device(options.device), shown_name(*found)));
  if (!backend || *backend == "auto") return options;
  if (*backend != "mmap" && *backend != "pread")
    raise_safetensor_error(
        fmt::format(R"(backend "{}" is invalid (expected one of: "mmap", "pread", "auto"))", *backend));
  options.backend = *backend == "mmap" ? Backend::mmap : Backend::pread;
  return options;
}

// A shape in the framework's elements. torch counts F4 in pairs.
struct OpenFile::Shape {
  Shape(const Entry& entry, bool packs) : elements(entry.shape) {
    if (entry.dtype != Dtype::F4 || !packs) return;
    if (elements.empty() || elements.back() % 2 != 0)
      raise_safetensor_error(fmt::format("tensor {}: last dimension of F4 is odd (torch stores pairs)", entry.name));
    packed.assign(elements.begin(), elements.end());
    packed.back() /= 2;
    elements = packed;
  }
  Shape(const Shape&) = delete;
  std::vector<uint64_t> packed;
  std::span<const uint64_t> elements;
};

OpenFile::OpenFile(std::shared_ptr<const os::MappedFile> source, TensorOptions options)
    : source_(std::move(source)),
      header_(read_header(*source_)),
      framework_(options.framework),
      device_(std::move(options.device)) {
  if (options.backend == Backend::pread || (options.backend == Backend::automatic && prefers_reads(*source_))) return;
  try {
    mapping_object_ = make_mapping(source_);
  } catch (const Error& error) {
    raise(error, safetensor_error());
  }
  mapping_ = &mapping_of(mapping_object_);
}

const Entry& OpenFile::at(std::string_view name) const {
  const Entry* entry = header_.find(name);
  if (!entry) raise_safetensor_error(fmt::format("File does not contain tensor {}", name));
  return *entry;
}

void OpenFile::check() const {
  if (mapping_) mapping_->check();
}

nb::object OpenFile::finish(nb::object view, Dtype dtype) const {
  nb::object tensor = framework().finish(std::move(view), dtype);
  return device_.is_valid() ? tensor.attr("to")(device_) : tensor;
}

nb::object OpenFile::in_place(const Entry& entry) const {
  return framework().view(
      mapping_object_, header_.data_begin() + entry.begin, entry.dtype, Shape(entry, is_torch()).elements);
}

nb::object OpenFile::tensor(const Entry& entry) const {
  check();
  if (mapping_) return finish(in_place(entry), entry.dtype);
  const Entry* only = &entry;
  return nb::borrow(tensors({&only, 1})[str_of(entry.name)]);
}

nb::dict OpenFile::tensors(std::span<const Entry* const> entries) const {
  check();
  nb::dict result;
  if (mapping_) {
    for (const Entry* entry : entries) result[str_of(entry->name)] = finish(in_place(*entry), entry->dtype);
    return result;
  }
  std::vector<nb::object> views;
  std::vector<FileRead> reads;
  for (const Entry* entry : entries) {
    Memory memory(entry->size_bytes());
    views.push_back(framework().view(memory.object, 0, entry->dtype, Shape(*entry, is_torch()).elements));
    reads.push_back({header_.data_begin() + entry->begin, memory.bytes});
    if (entry->size_bytes() == 0) reads.pop_back();  // the view of an empty tensor does not keep the memory alive
  }
  read_without_gil(*source_, [&] { read_all(*source_, reads); });
  for (size_t i = 0; i < entries.size(); ++i)
    result[str_of(entries[i]->name)] = finish(std::move(views[i]), entries[i]->dtype);
  return result;
}

// Reads only the indexed bytes, into their own memory.
nb::object OpenFile::gather(const Entry& entry, nb::handle index) const {
  const Shape shape(entry, is_torch());
  SliceIndex taken = SliceIndex::of(index, shape.elements, is_torch() ? Bounds::clamped : Bounds::checked);
  const Dtype unit = entry.dtype == Dtype::F4 && is_torch() ? Dtype::U8 : entry.dtype;
  try {
    auto slice = safetensors::Slice::of(unit, shape.elements, taken.items());
    Memory memory(slice.size_bytes());
    const uint64_t begin = header_.data_begin() + entry.begin;
    read_without_gil(*source_, [&] {
      if (mapping_)
        slice.read(Bytes(mapping_->data() + begin, entry.size_bytes()), memory.bytes);
      else
        read_slice(*source_, begin, slice, memory.bytes);
    });
    check();
    return finish(framework().view(memory.object, 0, entry.dtype, taken.shape(slice.shape())), entry.dtype);
  } catch (const Error& error) {
    raise(error, safetensor_error());
  }
}

nb::object OpenFile::slice(const Entry& entry, nb::handle index) const {
  check();
  const bool is_advanced_index =
      is_advanced(index) || (is_torch() && nb::isinstance<nb::list>(index) && nb::len(index) > 0);
  if (!mapping_ && is_advanced_index) return nb::borrow(tensor(entry))[index];
  if (!mapping_ || (is_torch() && steps_back(index))) return gather(entry, index);

  nb::object whole = in_place(entry);
  if (!is_torch() && !is_advanced_index) {
    const auto taken = SliceIndex::of(index, entry.shape, Bounds::checked);
    if (taken.is_element(entry.shape.size())) return finish(whole[with_ellipsis(index)], entry.dtype);
  }
  return finish(whole[index], entry.dtype);
}

}  // namespace depickle::python
