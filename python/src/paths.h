// Converts Python's file names to paths.
#pragma once

#include <filesystem>

#include "python/src/bind.h"
#include "python/src/errors.h"

namespace depickle::python {

/// Returns the path of a str or os.PathLike. The name need not be UTF-8. Throws TypeError for other types.
inline std::filesystem::path path_of(nb::handle filename) {
  nb::object path = nb::steal(PyOS_FSPath(filename.ptr()));
  if (!path.is_valid()) throw nb::python_error();
  if (!nb::isinstance<nb::str>(path))
    raise(PyExc_TypeError, "filename is a bytes path (expected str or os.PathLike[str])");
  nb::object encoded = nb::steal(PyUnicode_EncodeFSDefault(path.ptr()));
  if (!encoded.is_valid()) throw nb::python_error();
  std::string bytes(PyBytes_AS_STRING(encoded.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(encoded.ptr())));
  if (bytes.find('\0') != bytes.npos) raise(PyExc_ValueError, "embedded null byte");
  return bytes;
}

}  // namespace depickle::python
