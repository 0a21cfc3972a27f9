// safe_open and its slices.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "python/src/bind.h"
#include "python/src/errors.h"
#include "python/src/open_file.h"
#include "python/src/paths.h"

namespace depickle::python {
namespace {

using safetensors::Entry;

nb::list names_of(const std::vector<std::string_view>& names) {
  nb::list result;
  for (std::string_view name : names) result.append(nb::cast(name));
  return result;
}

// Returns the names in the order of the tensors' bytes. They are valid as long as the file.
std::vector<std::string_view> names_in(const OpenFile& file) {
  std::vector<std::string_view> names;
  for (const Entry& entry : file.header().entries()) names.push_back(entry.name);
  return names;
}

// Raises OSError, as Python's open(), if the path is not a regular file.
template <typename Open>
std::shared_ptr<const os::MappedFile> open_source(Open&& open) {
  try {
    return open();
  } catch (const Error& error) {
    if (error.code() != Code::unsupported) raise_as_safetensors(error, "");
    const std::string& file = error.where().file;
    std::error_code ignored;
    raise_os_error(std::filesystem::is_directory(file, ignored) ? EISDIR : ENODEV, error.message(), file);
  }
}

/// A tensor that is read when it is indexed.
class PySafeSlice {
 public:
  PySafeSlice(std::shared_ptr<const OpenFile> file, const Entry& entry) : file_(std::move(file)), entry_(entry) {}

  std::vector<uint64_t> get_shape() const { return {entry_.shape.begin(), entry_.shape.end()}; }
  std::string_view get_dtype() const { return name(entry_.dtype); }
  nb::object get_item(nb::handle index) const { return file_->slice(entry_, index); }

 private:
  std::shared_ptr<const OpenFile> file_;
  const Entry& entry_;
};

/// A file that can be closed. Its tensors and slices stay valid.
class SafeOpen {
 public:
  SafeOpen(
      nb::handle filename, std::string_view framework, nb::handle device, const std::optional<std::string>& backend)
      : SafeOpen(
            TensorOptions::of(framework, device, backend), [&] { return os::MappedFile::open(path_of(filename)); }) {}

  /// Opens the descriptor of a Python file object.
  static SafeOpen* of_handle(
      nb::handle file, std::string_view framework, nb::handle device, const std::optional<std::string>& backend) {
    const int descriptor = nb::cast<int>(file.attr("fileno")());
    const std::string name = nb::str(file.attr("name")).c_str();
    return new SafeOpen(TensorOptions::of(framework, device, backend), [&] {
      const int duplicate = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
      if (duplicate < 0) throw system_error(errno, "cannot duplicate the descriptor", name);
      return os::MappedFile::adopt(os::FileDescriptor(duplicate), name);
    });
  }

  nb::list offset_keys() const {
    const auto file = open();
    return names_of(names_in(*file));
  }
  nb::list keys() const {
    const auto file = open();
    std::vector<std::string_view> names = names_in(*file);
    std::ranges::sort(names);
    return names_of(names);
  }
  size_t size() const { return open()->header().entries().size(); }
  bool contains(nb::handle name) const {
    return nb::isinstance<nb::str>(name) && open()->header().find(nb::cast<std::string_view>(name));
  }

  nb::object metadata() const {
    const auto file = open();
    if (!file->header().has_metadata()) return nb::none();
    nb::dict result;
    for (const auto& [key, value] : file->header().metadata()) result[nb::cast(key)] = value;
    return result;
  }

  nb::object get_tensor(std::string_view name) const {
    const auto file = open();
    return file->tensor(file->at(name));
  }
  nb::dict get_tensors(const std::optional<std::vector<std::string>>& names) const {
    const auto file = open();
    std::vector<const Entry*> entries;
    if (names)
      for (const std::string& name : *names) entries.push_back(&file->at(name));
    else
      for (const Entry& entry : file->header().entries()) entries.push_back(&entry);
    return file->tensors(entries);
  }
  PySafeSlice get_slice(std::string_view name) const {
    auto file = open();
    const Entry& entry = file->at(name);
    return {std::move(file), entry};
  }

  void close() {
    std::shared_ptr<const OpenFile> last;  // freed after the lock is released
    std::scoped_lock lock(mutex_);
    last = std::exchange(file_, nullptr);
  }

 private:
  template <typename Source>
  SafeOpen(TensorOptions options, Source&& source) {
    file_ = std::make_shared<const OpenFile>(open_source(source), std::move(options));
  }

  std::shared_ptr<const OpenFile> open() const {
    std::scoped_lock lock(mutex_);
    if (!file_) raise_safetensor_error("File is closed");
    return file_;
  }

  mutable std::mutex mutex_;
  std::shared_ptr<const OpenFile> file_;
};

}  // namespace

void bind_safe_open(nb::module_& module) {
  nb::class_<PySafeSlice>(module, "PySafeSlice", "A tensor that is read only as far as it is indexed: slice[2:, :8].")
      .def("get_shape", &PySafeSlice::get_shape, "The shape in the file's header.")
      .def("get_dtype", &PySafeSlice::get_dtype, "The dtype in the format's spelling, such as \"F32\".")
      .def("__getitem__", &PySafeSlice::get_item, nb::arg("index").none());

  nb::class_<SafeOpen>(module, "safe_open",
      "An open safetensors file, whose tensors are created on request.\n\n"
      "framework  pt, torch, pytorch; np, numpy; tf, tensorflow; jax, flax; mlx; paddle\n"
      "device     the device of the tensors: a name, a number or a torch.device\n"
      "backend    \"mmap\": tensors point into a mapping of the file; \"pread\": several threads read them into "
      "memory;\n"
      "           None or \"auto\": pread on network file systems, mmap on others")
      .def(nb::init<nb::handle, std::string_view, nb::handle, const std::optional<std::string>&>(), nb::arg("filename"),
          nb::arg("framework"), nb::arg("device").none() = "cpu", nb::kw_only(), nb::arg("backend") = nb::none())
      .def("__enter__", [](nb::handle self) { return nb::borrow(self); })
      .def("__exit__", [](SafeOpen& self, const nb::args&) { self.close(); })
      .def("close", &SafeOpen::close, "Closes the file. Its tensors and slices stay valid.")
      .def("keys", &SafeOpen::keys, "The names of the tensors, sorted.")
      .def("offset_keys", &SafeOpen::offset_keys, "The names of the tensors, in the order of their bytes.")
      .def("metadata", &SafeOpen::metadata, "The `__metadata__` of the file; None if it has none.")
      .def("get_tensor", &SafeOpen::get_tensor, nb::arg("name"), "Returns a whole tensor.")
      .def("get_tensors", &SafeOpen::get_tensors, nb::arg("names") = nb::none(),
          "Returns tensors by name, in the order of `names`; if None, all tensors in the order of their bytes.")
      .def("get_slice", &SafeOpen::get_slice, nb::arg("name"),
          "Returns a tensor to index; only the indexed part is read.")
      .def("__len__", &SafeOpen::size)
      .def("__contains__", &SafeOpen::contains, nb::arg("name").none())
      .def("__iter__", [](const SafeOpen& self) { return nb::iter(self.keys()); });

  module.def("_safe_open_handle", &SafeOpen::of_handle, nb::arg("f"), nb::arg("framework"),
      nb::arg("device").none() = "cpu", nb::kw_only(), nb::arg("backend") = nb::none(), nb::rv_policy::take_ownership,
      "Returns safe_open of an open file, which has `fileno()` and `name`.");
}

}  // namespace depickle::python
