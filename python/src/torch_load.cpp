// `depickle.torch.load`: a torch file as the values that torch.load would return.
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

/// Where the bytes come from: a path, a descriptor (which stays the caller's) or a bytearray.
Home home_of(nb::handle source, const std::string& name) {
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
    int own = ::dup(given);
    if (own < 0) throw system_error(errno, "cannot open", name);
    return os::MappedFile::adopt(os::FileDescriptor(own), name);
  });
  return {file, make_mapping(file)};
}

// What Python itself refuses while values are made, where the file is to blame.
bool is_the_files_fault(const nb::python_error& error) {
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
  nb::object refused = unpickling_error();
  try {
    Home home = home_of(source, name);
    name = home.source->name();
    std::optional<CutFileGuard> guard;
    if (auto file = std::dynamic_pointer_cast<const os::MappedFile>(home.source); file && file->size_bytes() > 0)
      guard.emplace(file->all(), file->descriptor(), name);
    torch::Contents contents = without_gil([&] { return torch::read_contents(home.source); });
    if (contents.has_code && inert.is_none())
      throw Error(Code::unsupported, "", "a TorchScript archive: its model is code", {},
          "save the model's state_dict with torch.save, or read the tensors with depickle.open");
    TensorMaker tensors(contents, std::move(home), {std::move(restore), also_of_cpu});
    try {
      nb::object made = ValueMaker(contents, tensors, std::move(inert)).make();
      if (guard) guard->check();
      return made;
    } catch (nb::python_error& error) {
      if (tensors.restore_failed() || !is_the_files_fault(error)) throw;
      throw Error(Code::malformed, "", "torch or Python refuses what it holds: " + text_of(error));
    }
  } catch (const Error& error) {
    raise(name.empty() ? error : error.in(name), refused.ptr());
  }
}

}  // namespace

void bind_torch_load(nb::module_& module) {
  module.def("torch_load", load, nb::arg("source"), nb::arg("name"), nb::arg("restore").none(), nb::arg("also_of_cpu"),
      nb::arg("inert").none(),
      "What torch.load would return of a torch file; nothing in it is imported or called.\n\n"
      "`source` is a path, a descriptor, or a bytearray that becomes the tensors' memory; `name` is what errors call "
      "the latter.\n"
      "`restore(storage, location)` is called for storages saved elsewhere than on the CPU, with `also_of_cpu` for "
      "all;\n"
      "where it is None, for none.\n"
      "`inert(module, name, args, kwargs)` makes the record of an object of an unknown class; where it is None, "
      "those "
      "raise\n"
      "pickle.UnpicklingError.");
}

}  // namespace depickle::python
