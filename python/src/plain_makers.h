// Creates plain objects: containers, numbers, and small values of torch and numpy. Private to the value maker.
#pragma once

#include <span>
#include <string_view>

#include "python/src/value_maker.h"

namespace depickle::python {

struct PlainMakers {
  /// Returns an invalid object if `global` is not on the list, or its arguments differ from those of real pickles.
  static nb::object make(ValueMaker& maker, const pickle::Global& global, const pickle::Object& object);

 private:
  using Args = std::span<const pickle::Handle>;

  static nb::object collection(ValueMaker& maker, std::string_view name, Args args);
  static nb::object ordered_dict(ValueMaker& maker, std::string_view name, Args args);
  static nb::object builtin(ValueMaker& maker, const pickle::Global& global, const pickle::Object& object);
  /// Whether each argument has one of `kinds`.
  template <typename... Kinds>
  static bool all_are(const ValueMaker& maker, Args args, Kinds... kinds);
};

}  // namespace depickle::python
