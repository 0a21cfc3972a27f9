#include "python/src/mapping.h"

#include <sys/mman.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "depickle/base/error.h"
#include "depickle/os/mapped_file.h"

namespace depickle::python {
namespace {

std::byte* map(const os::MappedFile& file) {
  if (file.size_bytes() == 0) return nullptr;
  void* data =
      ::mmap(nullptr, file.size_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.descriptor(), 0);
  if (data == MAP_FAILED) throw system_error(errno, "cannot map", file.name());
  return static_cast<std::byte*>(data);
}

// Not a nanobind type: torch does not release the owners of tensors that outlive the interpreter, and nanobind would
// report each as a leak.
struct MappingObject {
  PyObject_HEAD;
  Mapping* mapping;
};

PyTypeObject* mapping_type = nullptr;

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Mapping& mapping = mapping_of(self);
  return PyBuffer_FillInfo(view, self, mapping.data(), static_cast<Py_ssize_t>(mapping.size_bytes()), 0, flags);
}

void deallocate(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  delete reinterpret_cast<MappingObject*>(self)->mapping;
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
    {Py_tp_doc,
        const_cast<char*>("A private mapping of a file, as a writable buffer. Writing to it does not change the "
                          "file.")},
    {0, nullptr}};
PyType_Spec spec = {
    "depickle._core.Mapping", sizeof(MappingObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

Mapping::Mapping(std::shared_ptr<const os::MappedFile> file)
    : file_(std::move(file)),
      data_(map(*file_)),
      size_bytes_(file_->size_bytes()) {
  if (data_) guard_.emplace(Bytes(data_, size_bytes_), file_->descriptor(), file_->name());
}

Mapping::~Mapping() {
  guard_.reset();
  if (data_) ::munmap(data_, size_bytes_);
}

nb::object make_mapping(std::shared_ptr<const os::MappedFile> file) {
  auto mapping = std::make_unique<Mapping>(std::move(file));
  nb::object object = nb::steal(mapping_type->tp_alloc(mapping_type, 0));
  if (!object.is_valid()) throw nb::python_error();
  reinterpret_cast<MappingObject*>(object.ptr())->mapping = mapping.release();
  return object;
}

const Mapping& mapping_of(nb::handle object) noexcept {
  return *reinterpret_cast<MappingObject*>(object.ptr())->mapping;
}

void bind_mapping(nb::module_& module) {
  mapping_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (!mapping_type) throw nb::python_error();
  module.attr("Mapping") = nb::borrow(reinterpret_cast<PyObject*>(mapping_type));
}

}  // namespace depickle::python
