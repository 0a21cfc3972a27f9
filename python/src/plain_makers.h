// Creates plain objects: containers, numbers, and small values of torch and numpy. Private to the value maker.
#pragma once

#include "python/src/value_maker.h"

namespace depickle::python {

struct PlainMakers {
  /// Returns an invalid object if `global` is not on the list, or its arguments differ from those of real pickles.
  static nb::object make(ValueMaker& maker, const pickle::Global& global, const pickle::Object& object);
};

}  // namespace depickle::python
