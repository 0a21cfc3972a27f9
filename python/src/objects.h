// Python objects made by hand, for what is made a thousand times.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string_view>

#include "python/src/bind.h"

namespace depickle::python {

/// A new reference; where there is none, the Python exception that is set.
inline nb::object take(PyObject* made) {
  if (!made) throw nb::python_error();
  return nb::steal(made);
}

inline nb::object number(uint64_t value) { return take(PyLong_FromUnsignedLongLong(value)); }

/// Of UTF-8, NUL included.
inline nb::object str_of(std::string_view utf8) {
  return take(PyUnicode_DecodeUTF8(utf8.data(), std::ssize(utf8), nullptr));
}

inline nb::object tuple_of(std::span<const uint64_t> values) {
  nb::object tuple = take(PyTuple_New(std::ssize(values)));
  for (size_t i = 0; i < values.size(); ++i)
    PyTuple_SET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(i), number(values[i]).release().ptr());
  return tuple;
}

/// The one T of the process, made when first asked for. It is never freed: at the end of the process there may be no interpreter left to
/// free Python objects with. Its making may let other threads run, so that two are made; the first counts.
template <typename T>
const T& shared() {
  static std::atomic<const T*> made = nullptr;
  if (const T* known = made.load(std::memory_order_acquire)) return *known;
  auto fresh = std::make_unique<const T>();
  const T* first = nullptr;
  if (made.compare_exchange_strong(first, fresh.get())) return *fresh.release();
  return *first;
}

}  // namespace depickle::python
