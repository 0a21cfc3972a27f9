// The library's errors as Python's exceptions.
#pragma once

#include <string>
#include <string_view>

#include "depickle/base/error.h"
#include "python/src/bind.h"

namespace depickle::python {

/// `depickle.safetensors.SafetensorError`. Borrowed; lives as long as the module.
PyObject* safetensor_error() noexcept;

/// The exception for `error`:
///   not_found    FileNotFoundError(errno, text, filename)        network    ConnectionError
///   io           OSError(errno, text, filename)                  cancelled  KeyboardInterrupt
///   denied       PermissionError                                 unsafe     pickle.UnpicklingError
///   all others   `refused`, which says who asked: SafetensorError, pickle.UnpicklingError or ValueError
/// The text is what() and, on a line of its own, the hint; `prefix` stands before that of `refused`.
/// Errors that reach nanobind are raised so, as ValueError.
void set_python_error(const Error& error, PyObject* refused, std::string_view prefix = {}) noexcept;

/// Sets it, and throws what makes nanobind return it.
[[noreturn]] void raise(const Error& error, PyObject* refused, std::string_view prefix = {});
[[noreturn]] void raise(PyObject* exception_class, const std::string& text);
[[noreturn]] void raise_safetensor_error(const std::string& text);
/// OSError of any errno.
[[noreturn]] void raise_os_error(int error_number, const std::string& text, const std::string& filename);

/// SafetensorError for a file that is refused: `prefix` ("Error while deserializing header: "), upstream's words for
/// the broken rule, which programs look for, and what the library says.
[[noreturn]] void raise_as_safetensors(const Error& error, std::string_view prefix);

/// work(), whose errors are raised so.
template <typename Work>
auto as_safetensors(std::string_view prefix, Work&& work) {
  try {
    return work();
  } catch (const Error& error) {
    raise_as_safetensors(error, prefix);
  }
}

/// Lets Ctrl-C end long work: throws KeyboardInterrupt, or what another signal's handler raises. Call it without the
/// GIL, on the thread that Python called.
void check_signals();

}  // namespace depickle::python
