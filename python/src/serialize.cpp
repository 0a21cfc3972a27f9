// serialize, serialize_file, deserialize, and TensorSpec, the description of a tensor to save.
#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/parallel.h"
#include "depickle/base/source.h"
#include "depickle/formats/safetensors/header.h"
#include "depickle/formats/safetensors/layout.h"
#include "depickle/os/atomic_file.h"
#include "python/src/bind.h"
#include "python/src/errors.h"
#include "python/src/paths.h"
#include "python/src/spec.h"

namespace depickle::python {
namespace {

using safetensors::FilePlan;
using safetensors::Metadata;
using safetensors::Place;

constexpr std::string_view kSerializing = "Error while serializing: ";
constexpr uint64_t kWrittenPieceBytes = 4 << 20;

[[noreturn]] void raise_wrong_type(std::string_view argument, nb::handle value, std::string_view expected) {
  raise(PyExc_TypeError, fmt::format("argument '{}': '{}' object is not an instance of '{}'", argument,
                             nb::str(value.type().attr("__name__")).c_str(), expected));
}

std::string string_of(std::string_view argument, nb::handle value) {
  if (!nb::isinstance<nb::str>(value)) raise_wrong_type(argument, value, "str");
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
  if (!utf8) throw nb::python_error();
  return {utf8, static_cast<size_t>(size)};
}

std::optional<Metadata> metadata_of(nb::handle given) {
  if (given.is_none()) return std::nullopt;
  if (!nb::isinstance<nb::dict>(given)) raise_wrong_type("metadata", given, "dict");
  Metadata metadata;
  for (auto [key, value] : nb::borrow<nb::dict>(given))
    metadata.emplace_back(string_of("metadata", key), string_of("metadata", value));
  return metadata;
}

/// The tensors to write. Keeps their bytes alive.
class Tensors {
 public:
  explicit Tensors(nb::handle given) {
    if (!nb::isinstance<nb::dict>(given)) raise_wrong_type("tensor_dict", given, "dict");
    for (auto [key, value] : nb::borrow<nb::dict>(given)) {
      names_.push_back(string_of("tensor_dict", key));
      if (nb::isinstance<nb::dict>(value) && nb::borrow<nb::dict>(value).contains("data"))
        add_old(nb::borrow<nb::dict>(value));
      else if (nb::isinstance<TensorSpec>(value))
        specs_.push_back(nb::cast<const TensorSpec&>(value));
      else
        raise_wrong_type("tensor_dict", value, "TensorSpec");
    }
  }

  FilePlan plan(const std::optional<Metadata>& metadata) const {
    std::vector<safetensors::TensorSpec> specs;
    for (size_t i = 0; i < names_.size(); ++i) specs.push_back({names_[i], specs_[i].dtype(), specs_[i].shape()});
    FilePlan plan = safetensors::plan_file(specs, metadata);
    for (const Place& place : plan.places)
      safetensors::check_content_size(specs[place.spec], specs_[place.spec].bytes().size());
    return plan;
  }

  Bytes bytes(const Place& place) const { return specs_[place.spec].bytes(); }

 private:
  // Adds {"dtype": "float32", "shape": [2, 3], "data": b"…"}, the form of safetensors 0.7.
  void add_old(const nb::dict& old) {
    for (const char* key : {"shape", "dtype"})
      if (!old.contains(key)) raise_safetensor_error(fmt::format("Missing `{}` in {}", key, nb::repr(old).c_str()));
    buffers_.emplace_back(old["data"]);
    const Bytes bytes = buffers_.back().bytes();
    specs_.emplace_back(string_of("dtype", old["dtype"]), shape_of(old["shape"]),
        reinterpret_cast<uintptr_t>(bytes.data()), bytes.size());
  }

  std::vector<std::string> names_;
  std::vector<TensorSpec> specs_;
  std::deque<Buffer> buffers_;
};

struct Piece {
  uint64_t offset;  ///< in the file
  Bytes bytes;
};

// Returns the pieces of the whole file, in file order.
std::vector<Piece> pieces(const FilePlan& plan, const Tensors& tensors) {
  std::vector<Piece> result{{0, bytes(plan.head)}};
  for (const Place& place : plan.places) {
    const Bytes all = tensors.bytes(place);
    for (uint64_t begin = 0; begin < all.size(); begin += kWrittenPieceBytes)
      result.push_back(
          {place.begin + begin, all.subspan(begin, std::min<uint64_t>(kWrittenPieceBytes, all.size() - begin))});
  }
  return result;
}

// Calls write() in parallel with batches of consecutive pieces of up to kWrittenPieceBytes.
template <typename Write>
void for_batches(const std::vector<Piece>& pieces, unsigned threads, Write&& write) {
  std::vector<std::pair<size_t, size_t>> batches;
  uint64_t bytes = kWrittenPieceBytes;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (bytes + pieces[i].bytes.size() > kWrittenPieceBytes) {
      batches.emplace_back(i, i);
      bytes = 0;
    }
    bytes += pieces[i].bytes.size();
    batches.back().second = i + 1;
  }
  const auto caller = std::this_thread::get_id();
  parallel_for(batches.size(), threads, [&](uint64_t i) {
    write(std::span(pieces).subspan(batches[i].first, batches[i].second - batches[i].first));
    if (std::this_thread::get_id() == caller) check_signals();
  });
}

nb::bytes serialize(nb::handle tensor_dict, nb::handle metadata) {
  const Tensors tensors(tensor_dict);
  const FilePlan plan = as_safetensors(kSerializing, [&] { return tensors.plan(metadata_of(metadata)); });
  PyObject* created = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(plan.file_bytes));
  if (!created) throw nb::python_error();
  auto result = nb::steal<nb::bytes>(created);
  char* out = PyBytes_AS_STRING(created);
  without_gil([&] {
    for_batches(pieces(plan, tensors), default_threads(), [&](std::span<const Piece> batch) {
      for (const Piece& piece : batch) std::memcpy(out + piece.offset, piece.bytes.data(), piece.bytes.size());
    });
  });
  return result;
}

// Combines small tensors in a buffer that fits in the processor's cache.
void write(const os::OutputFile& file, std::span<const Piece> batch, os::Durable durable) {
  if (batch.size() == 1) return file.write(batch[0].offset, batch[0].bytes, durable);
  constexpr size_t kBufferBytes = 256 << 10;
  std::vector<std::byte> buffer;
  buffer.reserve(kBufferBytes);
  uint64_t begin = batch[0].offset;
  auto flush = [&] {
    if (!buffer.empty()) file.write(begin, buffer, durable);
    begin += buffer.size();
    buffer.clear();
  };
  for (const Piece& piece : batch) {
    if (buffer.size() + piece.bytes.size() > kBufferBytes) flush();
    if (piece.bytes.size() > kBufferBytes) {
      file.write(begin, piece.bytes, durable);
      begin += piece.bytes.size();
    } else {
      buffer.insert(buffer.end(), piece.bytes.begin(), piece.bytes.end());
    }
  }
  flush();
}

void serialize_file(nb::handle tensor_dict, nb::handle filename, nb::handle metadata, bool is_durable) {
  const os::Durable durable = is_durable ? os::Durable::yes : os::Durable::no;
  const Tensors tensors(tensor_dict);
  const std::filesystem::path path = path_of(filename);
  as_safetensors(kSerializing, [&] {
    const FilePlan plan = tensors.plan(metadata_of(metadata));
    without_gil([&] {
      os::AtomicFile file(path, plan.file_bytes, os::IfExists::replace, os::Writers::many);
      // One thread, because the kernel serializes writes to a file.
      for_batches(pieces(plan, tensors), 1, [&](std::span<const Piece> batch) { write(file, batch, durable); });
      file.commit(durable);
    });
  });
}

nb::list deserialize(nb::handle data) {
  const Buffer buffer(data);
  const MemorySource source("", buffer.bytes());
  const auto header = as_safetensors("Error while deserializing: ", [&] { return safetensors::Header::read(source); });
  nb::list result;
  for (const safetensors::Entry& entry : header.entries()) {
    const Bytes bytes = source.view(header.data_begin() + entry.begin, entry.size_bytes());
    nb::dict tensor;
    tensor["shape"] = std::vector<uint64_t>(entry.shape.begin(), entry.shape.end());
    tensor["dtype"] = name(entry.dtype);
    tensor["data"] = nb::bytearray(bytes.data(), bytes.size());
    result.append(nb::make_tuple(entry.name, tensor));
  }
  return result;
}

}  // namespace

void bind_serialize(nb::module_& module) {
  nb::class_<TensorSpec>(module, "TensorSpec",
      "A tensor to save: dtype, shape, and the address of its bytes in C order.\n\n"
      "The caller keeps the memory alive until it is written. `shape` is that of the framework: the last dimension of "
      "float4_e2m1fn_x2 counts pairs.")
      .def(
          "__init__",
          [](TensorSpec* self, std::string_view dtype, nb::handle shape, nb::handle data_ptr, nb::handle data_len) {
            new (self) TensorSpec(dtype, shape_of(shape), whole_number(data_ptr), whole_number(data_len));
          },
          nb::kw_only(), nb::arg("dtype"), nb::arg("shape"), nb::arg("data_ptr"), nb::arg("data_len"))
      .def_prop_ro(
          "dtype", [](const TensorSpec& self) { return name(self.dtype()); },
          "The dtype in the format's spelling: \"F32\".")
      .def_prop_ro(
          "shape", [](const TensorSpec& self) { return self.shape(); }, "The shape in the header.")
      .def_prop_ro("data_ptr", [](const TensorSpec& self) { return reinterpret_cast<uintptr_t>(self.bytes().data()); })
      .def_prop_ro("data_len", [](const TensorSpec& self) { return self.bytes().size(); })
      .def("__repr__", [](const TensorSpec& self) {
        return fmt::format("TensorSpec(dtype='{}', shape=[{}], data_ptr={}, data_len={})", name(self.dtype()),
            fmt::join(self.shape(), ", "), reinterpret_cast<uintptr_t>(self.bytes().data()), self.bytes().size());
      });

  module.def("serialize", &serialize, nb::arg("tensor_dict"), nb::arg("metadata") = nb::none(),
      "Returns a safetensors file with the tensors {name: TensorSpec}, or 0.7's {name: {\"dtype\", \"shape\", "
      "\"data\"}}.");
  module.def("serialize_file", &serialize_file, nb::arg("tensor_dict"), nb::arg("filename"),
      nb::arg("metadata") = nb::none(), nb::kw_only(), nb::arg("durable") = false,
      "Writes a safetensors file atomically; with `durable` the call returns after the file is synced.");
  module.def("deserialize", &deserialize, nb::arg("bytes"),
      "Returns [(name, {\"shape\", \"dtype\", \"data\"}), ...] for a file in memory, in the order of its bytes.");
}

}  // namespace depickle::python
