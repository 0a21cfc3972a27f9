// `depickle.open`: the tensors of any container, created on request.
#include "depickle/weights/weights.h"

#include <algorithm>
#include <list>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/parallel.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/os/mapped_file.h"
#include "depickle/weights/gather.h"
#include "python/src/errors.h"
#include "python/src/frameworks.h"
#include "python/src/mapping.h"
#include "python/src/objects.h"
#include "python/src/paths.h"

namespace depickle::python {
namespace {

constexpr uint64_t kBlockBytes = 8 << 20;

// Returns the exception class for invalid files of this kind.
nb::object exception_for_format(const ByteSource& file) {
  using detect::FileKind;
  switch (detect::file_kind(file)) {
    case FileKind::safetensors: return nb::borrow(safetensor_error());
    case FileKind::zip:
    case FileKind::torch_legacy:
    case FileKind::tar:
    case FileKind::pickle:
    case FileKind::plain_pickle: return nb::module_::import_("pickle").attr("UnpicklingError");
    default: return nb::borrow(PyExc_ValueError);
  }
}

/// Immutable except for its mappings, which are created at their first use.
class OpenWeights {
 public:
  OpenWeights(weights::Weights table, const Framework& framework, bool is_torch, nb::object invalid)
      : table_(std::move(table)),
        framework_(framework),
        is_torch_(is_torch),
        invalid_(std::move(invalid)),
        mappings_(table_.files().size()) {
    for (const auto& each : table_.files())
      if (auto file = std::dynamic_pointer_cast<const os::MappedFile>(each); file && file->size_bytes() > 0)
        guards_.emplace_back(file->all(), file->descriptor(), file->name());
  }

  const weights::Weights& table() const noexcept { return table_; }

  const Tensor& at(std::string_view name) const {
    if (const Tensor* found = table_.find(name)) return *found;
    PyErr_SetObject(PyExc_KeyError, str_of(name).ptr());
    throw nb::python_error();
  }

  nb::object tensor(std::string_view name) {
    const Tensor& tensor = at(name);
    try {
      std::vector<uint64_t> shape(tensor.shape.begin(), tensor.shape.end());
      if (tensor.dtype == Dtype::F4 && is_torch_) {  // torch counts pairs
        if (shape.empty() || shape.back() % 2 != 0)
          throw Error(Code::unsupported, "", "last dimension of F4 is odd (torch stores pairs)", Where::of(name));
        shape.back() /= 2;
      }
      auto [buffer, offset] = bytes_of(tensor);
      return framework_.finish(framework_.view(buffer, offset, tensor.dtype, shape), tensor.dtype);
    } catch (const Error& error) {
      raise(error.in(table_.files().front()->name()), invalid_.ptr());
    }
  }

 private:
  std::pair<nb::object, uint64_t> bytes_of(const Tensor& tensor) {
    if (tensor.is_contiguous()) {
      Bytes bytes = table_.view(tensor);
      for (size_t i = 0; i < mappings_.size(); ++i) {
        auto file = std::dynamic_pointer_cast<const os::MappedFile>(table_.files()[i]);
        if (!file || file->size_bytes() == 0) continue;
        Bytes whole = file->all();
        if (bytes.data() < whole.data() || bytes.data() >= whole.data() + whole.size()) continue;
        return {mapping(i, file), static_cast<uint64_t>(bytes.data() - whole.data())};
      }
    }
    return {gathered(tensor), 0};
  }

  nb::object mapping(size_t index, const std::shared_ptr<const os::MappedFile>& file) {
    nb::ft_lock_guard guard(mutex_);
    nb::object& created = mappings_[index];
    if (!created.is_valid()) created = make_mapping(file);
    mapping_of(created).check();
    return created;
  }

  nb::object gathered(const Tensor& tensor) const {
    nb::object memory = nb::steal(PyByteArray_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(tensor.size_bytes)));
    if (!memory.is_valid()) throw nb::python_error();
    MutableBytes out(reinterpret_cast<std::byte*>(PyByteArray_AS_STRING(memory.ptr())), tensor.size_bytes);
    without_gil([&] {
      const uint64_t block = std::max<uint64_t>(weights::gather_block_bytes(tensor, kBlockBytes), 1);
      parallel_for((out.size() + block - 1) / block, default_threads(), [&](uint64_t i) {
        table_.read(tensor, i * block, out.subspan(i * block, std::min<uint64_t>(block, out.size() - i * block)));
      });
    });
    for (const TruncationGuard& guard : guards_) guard.check_size();
    return memory;
  }

  weights::Weights table_;
  const Framework& framework_;
  bool is_torch_;
  nb::object invalid_;
  nb::ft_mutex mutex_;
  std::vector<nb::object> mappings_;   ///< by file
  std::list<TruncationGuard> guards_;  ///< of the table's own mappings, which gathered() reads
};

OpenWeights open(nb::handle where, const std::string& framework, const std::string& root) {
  auto known = find_framework(framework);
  if (!known)
    raise(
        PyExc_ValueError, fmt::format("framework {} is unknown (expected pt, np, tf, jax, mlx or paddle)", framework));
  const Framework& created = Framework::of(*known);
  const std::filesystem::path path = path_of(where);
  nb::object invalid = nb::borrow(PyExc_ValueError);
  try {
    weights::Model model = without_gil([&] { return weights::find_model(path); });
    invalid = exception_for_format(*model.entry);
    weights::Weights table = without_gil([&] { return weights::open(model, {.root = root}); });
    return OpenWeights(std::move(table), created, *known == FrameworkName::torch, invalid);
  } catch (const Error& error) {
    raise(error, invalid.ptr());
  }
}

nb::object info(const OpenWeights& weights, std::string_view name) {
  const Tensor& tensor = weights.at(name);
  std::vector<uint64_t> strides(tensor.strides.begin(), tensor.strides.end());
  if (strides.empty()) {
    strides.resize(tensor.shape.size(), 1);
    for (size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<uint64_t>(tensor.shape[i], 1);
  }
  return nb::make_tuple(
      str_of(depickle::name(tensor.dtype)), tuple_of(tensor.shape), tuple_of(strides), tensor.size_bytes);
}

}  // namespace

void bind_weights(nb::module_& module) {
  module.def(
      "is_model_file_name", [](nb::handle path) { return detect::is_model_file_name(path_of(path).native()); },
      nb::arg("path"));
  nb::class_<OpenWeights>(module, "OpenWeights", "The implementation of depickle.open.")
      .def(
          "__init__",
          [](OpenWeights* self, nb::handle path, const std::string& framework, const std::string& root) {
            new (self) OpenWeights(open(path, framework, root));
          },
          nb::arg("path"), nb::arg("framework"), nb::arg("root"))
      .def("tensor", &OpenWeights::tensor, nb::arg("name"))
      .def("info", info, nb::arg("name"))
      .def("__contains__",
          [](const OpenWeights& self, std::string_view name) { return self.table().find(name) != nullptr; })
      .def("__len__", [](const OpenWeights& self) { return self.table().tensors().size(); })
      .def_prop_ro("names",
          [](const OpenWeights& self) {
            nb::list names;
            for (const Tensor& tensor : self.table().tensors()) names.append(str_of(tensor.name));
            return names;
          })
      .def_prop_ro("metadata",
          [](const OpenWeights& self) {
            nb::dict metadata;
            for (const auto& [key, value] : self.table().metadata()) metadata[str_of(key)] = str_of(value);
            return metadata;
          })
      .def_prop_ro("container", [](const OpenWeights& self) { return self.table().container(); })
      .def_prop_ro("files",
          [](const OpenWeights& self) {
            nb::list files;
            for (const auto& file : self.table().files())
              files.append(nb::steal(PyUnicode_DecodeFSDefaultAndSize(file->name().data(), std::ssize(file->name()))));
            return files;
          })
      .def_prop_ro("root", [](const OpenWeights& self) { return self.table().root(); })
      .def_prop_ro("leftovers",
          [](const OpenWeights& self) {
            nb::dict unused;
            for (const Unused& each : self.table().unused()) unused[str_of(each.path)] = str_of(each.description);
            return unused;
          })
      .def_prop_ro("unsupported",
          [](const OpenWeights& self) {
            nb::dict unsupported;
            for (const Unsupported& each : self.table().unsupported())
              unsupported[str_of(each.name)] = str_of(each.what);
            return unsupported;
          })
      .def_prop_ro("notes", [](const OpenWeights& self) { return self.table().notes(); });
}

}  // namespace depickle::python
