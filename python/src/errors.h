// Converts the library's errors to Python exceptions.
#pragma once

#include <string>
#include <string_view>

#include "depickle/base/error.h"
#include "python/src/bind.h"

namespace depickle::python {

/// `depickle.safetensors.SafetensorError`. Borrowed; lives as long as the module.
PyObject* safetensor_error() noexcept;

/// Sets the Python exception for `error`:
///   not_found    FileNotFoundError(errno, text, filename)        network    ConnectionError
///   io           OSError(errno, text, filename)                  cancelled  KeyboardInterrupt
///   denied       PermissionError                                 unsafe     pickle.UnpicklingError
///   all others   `invalid`, which depends on the caller: SafetensorError, pickle.UnpicklingError or ValueError
/// The text is what() and, on the next line, the hint; `prefix` precedes the text of `invalid`.
/// Errors that reach nanobind are converted in the same way, with ValueError as `invalid`.
void set_python_error(const Error& error, PyObject* invalid, std::string_view prefix = {}) noexcept;

/// Sets the Python exception and throws nb::python_error.
[[noreturn]] void raise(const Error& error, PyObject* invalid, std::string_view prefix = {});
[[noreturn]] void raise(PyObject* exception_class, const std::string& text);
[[noreturn]] void raise_safetensor_error(const std::string& text);
/// Raises OSError, or its subclass for `error_number`.
[[noreturn]] void raise_os_error(int error_number, const std::string& text, const std::string& filename);

/// Raises SafetensorError: `prefix` ("Error while deserializing header: "), upstream's message for the broken rule,
/// which programs compare, and the library's message.
[[noreturn]] void raise_as_safetensors(const Error& error, std::string_view prefix);

/// Calls work() and raises its errors with raise_as_safetensors().
template <typename Work>
auto as_safetensors(std::string_view prefix, Work&& work) {
  try {
    return work();
  } catch (const Error& error) {
    raise_as_safetensors(error, prefix);
  }
}

/// Throws KeyboardInterrupt after Ctrl-C, or the exception of another signal handler. Long work calls it without the
/// GIL on the thread that Python called.
void check_signals();

}  // namespace depickle::python
