#include "python/src/errors.h"

#include <cerrno>
#include <exception>
#include <string_view>

#include <fmt/format.h>

namespace depickle::python {
namespace {

PyObject* safetensor_error_class = nullptr;
PyObject* file_not_found_class = nullptr;

// The hints of the package name the arguments of its functions.
std::string_view package_hint(Reason reason) {
  switch (reason) {
    case Reason::ambiguous_root: return "choose one with root=, or take everything with root=\".\"";
    case Reason::no_tensors: return "choose a part with root=";
    default: return "";
  }
}

std::string with_hint(const std::string& text, const Error& error) {
  std::string hint = error.hint();
  if (const std::string_view ours = package_hint(error.reason()); !ours.empty())
    hint = hint.empty() ? std::string(ours) : hint + "; " + std::string(ours);
  return hint.empty() ? text : text + "\nhint: " + hint;
}

void set_os_error(PyObject* exception_class, int error_number, const std::string& text, const std::string& filename) {
  nb::object decoded = nb::steal(PyUnicode_DecodeFSDefaultAndSize(filename.data(), std::ssize(filename)));
  nb::object exception = nb::borrow(exception_class)(error_number, text, decoded);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
}

void set_text(PyObject* exception_class, const std::string& text) {
  nb::object decoded = nb::steal(PyUnicode_DecodeUTF8(text.data(), std::ssize(text), "replace"));
  if (decoded.is_valid()) PyErr_SetObject(exception_class, decoded.ptr());
}

void set_unpickling_error(const std::string& text) {
  set_text(nb::module_::import_("pickle").attr("UnpicklingError").ptr(), text);
}

void set(const Error& error, PyObject* invalid, std::string_view prefix) {
  const std::string text = with_hint(error.what(), error);
  const std::string& file = error.where().file;
  switch (error.code()) {
    case Code::not_found:
    case Code::io:
      if (const int number = error.system_errno())
        return set_os_error(PyExc_OSError, number, with_hint(error.message(), error), file);
      if (!file.empty())
        return set_os_error(
            PyExc_OSError, error.code() == Code::io ? EIO : ENOENT, with_hint(error.message(), error), file);
      return set_text(error.code() == Code::io ? PyExc_OSError : invalid, text);
    case Code::denied: return set_text(PyExc_PermissionError, text);
    case Code::network: return set_text(PyExc_ConnectionError, text);
    case Code::cancelled: return set_text(PyExc_KeyboardInterrupt, text);
    case Code::unsafe: return set_unpickling_error(text);
    default: return set_text(invalid, std::string(prefix) + text);
  }
}

// The message of safetensors 0.8 for a broken rule, because programs compare it.
std::string upstream_message(const Error& error) {
  const std::string& rule = error.rule();
  if (rule == "ST01") return "header too small";
  if (rule == "ST02") return "header too large";
  if (rule == "ST03") return "invalid header length";
  if (rule == "ST04") return "invalid UTF-8 in header";
  if (rule >= "ST05" && rule <= "ST11") return "invalid JSON in header";
  if (rule == "ST13") return "overflow computing buffer size from shape and/or element type";
  if (rule == "ST14")
    return "The slice is slicing for subbytes dtypes, and the slice does not end up at a byte boundary, this is "
           "invalid.";
  if (rule == "ST15") return fmt::format("invalid offset for tensor `{}`", error.where().tensor);
  if (rule == "ST16") return "invalid shape, data type, or offset for tensor";
  if (rule == "ST17") return "incomplete metadata, file not fully covered";
  return "";
}

}  // namespace

PyObject* safetensor_error() noexcept { return safetensor_error_class; }

void set_python_error(const Error& error, PyObject* invalid, std::string_view prefix) noexcept {
  try {
    set(error, invalid, prefix);
  } catch (nb::python_error& failed) {
    failed.restore();
  } catch (const std::exception& failed) {
    PyErr_SetString(PyExc_RuntimeError, failed.what());
  }
}

void raise(const Error& error, PyObject* invalid, std::string_view prefix) {
  set_python_error(error, invalid, prefix);
  throw nb::python_error();
}

void raise(PyObject* exception_class, const std::string& text) {
  set_text(exception_class, text);
  throw nb::python_error();
}

void raise_safetensor_error(const std::string& text) { raise(safetensor_error(), text); }

void raise_os_error(int error_number, const std::string& text, const std::string& filename) {
  set_os_error(error_number == ENOENT ? file_not_found_class : PyExc_OSError, error_number, text, filename);
  throw nb::python_error();
}

void raise_as_safetensors(const Error& error, std::string_view prefix) {
  if (error.system_errno() == ENOENT) raise_os_error(ENOENT, "No such file or directory", error.where().file);
  std::string message = upstream_message(error);
  raise(error, safetensor_error(), message.empty() ? std::string(prefix) : fmt::format("{}{}: ", prefix, message));
}

void check_signals() {
  nb::gil_scoped_acquire acquired;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

void bind_errors(nb::module_& module) {
  // install() adds upstream's class to __bases__. That is possible only with a class between it and Exception.
  const nb::object base = nb::steal(PyErr_NewException("depickle._core.Error", PyExc_Exception, nullptr));
  safetensor_error_class = PyErr_NewExceptionWithDoc("depickle.safetensors.SafetensorError",
      "A safetensors file is invalid, or its tensors cannot be saved.", base.ptr(), nullptr);
  module.attr("SafetensorError") = nb::borrow(safetensor_error_class);

  // Upstream's text does not contain the errno, which Python's class would add.
  nb::dict members;
  members["__str__"] = nb::cpp_function(
      [](nb::handle self) { return nb::str("{}: {}").format(self.attr("strerror"), self.attr("filename")); },
      nb::is_method());
  file_not_found_class = PyErr_NewExceptionWithDoc(
      "depickle._core.FileNotFound", "A safetensors file that does not exist.", PyExc_FileNotFoundError, members.ptr());
  module.attr("FileNotFound") = nb::borrow(file_not_found_class);

  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      set_python_error(error, PyExc_ValueError);
    }
  });
}

}  // namespace depickle::python
