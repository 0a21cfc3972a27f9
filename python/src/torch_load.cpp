// `depickle.torch.load`: returns the values that torch.load would return.
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "depickle/base/error.h"
#include "depickle/formats/torch/contents.h"
#include "depickle/os/mapped_file.h"
#include "python/src/errors.h"
#include "python/src/mapping.h"
#include "python/src/paths.h"
#include "python/src/value_maker.h"

namespace depickle::python {
namespace {

nb::object unpickling_error() { return nb::module_::import_("pickle").attr("UnpicklingError"); }

/// Opens the source: a path, a descriptor (duplicated) or a bytearray.
FileBuffer open_file_buffer(nb::handle source, const std::string& name) {
  if (PyByteArray_Check(source.ptr())) {
    Bytes bytes(reinterpret_cast<const std::byte*>(PyByteArray_AS_STRING(source.ptr())),
        static_cast<size_t>(PyByteArray_GET_SIZE(source.ptr())));
    return {std::make_shared<MemorySource>(name, bytes), nb::borrow(source)};
  }
  const bool is_descriptor = PyLong_Check(source.ptr());
  const int given = is_descriptor ? nb::cast<int>(source) : -1;
  const std::filesystem::path path = is_descriptor ? std::filesystem::path() : path_of(source);
  std::shared_ptr<const os::MappedFile> file = without_gil([&] {
    if (!is_descriptor) return os::MappedFile::open(path);
    int duplicate = ::dup(given);
    if (duplicate < 0) throw system_error(errno, "cannot duplicate the descriptor", name);
    return os::MappedFile::adopt(os::FileDescriptor(duplicate), name);
  });
  return {file, make_mapping(file)};
}

// Whether Python raised the error because of invalid values in the file.
bool is_invalid_value(const nb::python_error& error) {
  for (PyObject* each : {PyExc_TypeError, PyExc_ValueError, PyExc_RuntimeError, PyExc_OverflowError,
           PyExc_AttributeError, PyExc_LookupError})
    if (error.matches(each)) return true;
  return false;
}

std::string text_of(const nb::python_error& error) {
  nb::object encoded = nb::str(error.value()).attr("encode")("utf-8", "backslashreplace");
  return {PyBytes_AS_STRING(encoded.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(encoded.ptr()))};
}

nb::object load(nb::handle source, std::string name, nb::object restore, bool also_of_cpu, nb::object inert) {
  nb::object invalid = unpickling_error();
  try {
    FileBuffer file = open_file_buffer(source, name);
    name = file.source->name();
    std::optional<TruncationGuard> guard;
    if (auto mapped = std::dynamic_pointer_cast<const os::MappedFile>(file.source); mapped && mapped->size_bytes() > 0)
      guard.emplace(mapped->all(), mapped->descriptor(), name);
    torch::Contents contents = without_gil([&] { return torch::read_contents(file.source); });
    if (contents.has_code && inert.is_none())
      throw Error(Code::unsupported, "", "is a TorchScript archive, whose model is code", {},
          "save the model's state_dict with torch.save, or read the tensors with depickle.open");
    TensorMaker tensors(contents, std::move(file), {std::move(restore), also_of_cpu});
    try {
      nb::object created = ValueMaker(contents, tensors, std::move(inert)).make();
      if (guard) guard->check();
      return created;
    } catch (nb::python_error& error) {
      if (tensors.restore_failed() || !is_invalid_value(error)) throw;
      throw Error(Code::malformed, "", "torch or Python rejected a value of the file: " + text_of(error));
    }
  } catch (const Error& error) {
    raise(name.empty() ? error : error.in(name), invalid.ptr());
  }
}

}  // namespace

void bind_torch_load(nb::module_& module) {
  module.def("torch_load", load, nb::arg("source"), nb::arg("name"), nb::arg("restore").none(), nb::arg("also_of_cpu"),
      nb::arg("inert").none(),
      "Returns the values that torch.load would return; nothing that the file names is imported or called.\n\n"
      "source         a path, a descriptor, or a bytearray that becomes the tensors' memory\n"
      "name           the source's name in errors\n"
      "restore        None, or restore(storage, location), called for storages that were not saved from the CPU;\n"
      "               with `also_of_cpu` for all\n"
      "inert          inert(module, name, args, kwargs) creates the record of an object of an unknown class; if None,\n"
      "               such objects raise pickle.UnpicklingError");
}

}  // namespace depickle::python
