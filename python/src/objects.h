// Creates Python objects with the C API, for objects that are created thousands of times.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string_view>

#include "python/src/bind.h"

namespace depickle::python {

/// Takes ownership of a new reference. Throws the current Python exception if it is null.
inline nb::object take(PyObject* reference) {
  if (!reference) throw nb::python_error();
  return nb::steal(reference);
}

inline nb::object number(uint64_t value) { return take(PyLong_FromUnsignedLongLong(value)); }

/// Decodes UTF-8, which may contain NUL.
inline nb::object str_of(std::string_view utf8) {
  return take(PyUnicode_DecodeUTF8(utf8.data(), std::ssize(utf8), nullptr));
}

inline nb::object tuple_of(std::span<const uint64_t> values) {
  nb::object tuple = take(PyTuple_New(std::ssize(values)));
  for (size_t i = 0; i < values.size(); ++i)
    PyTuple_SET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(i), number(values[i]).release().ptr());
  return tuple;
}

/// Returns the only T of the process, created at the first call. It is never freed, because the interpreter may no
/// longer exist at the end of the process. The constructor may release the GIL, so two threads may create one; the
/// first one is used.
template <typename T>
const T& shared() {
  static std::atomic<const T*> instance = nullptr;
  if (const T* existing = instance.load(std::memory_order_acquire)) return *existing;
  auto fresh = std::make_unique<const T>();
  const T* first = nullptr;
  if (instance.compare_exchange_strong(first, fresh.get())) return *fresh.release();
  return *first;
}

}  // namespace depickle::python
