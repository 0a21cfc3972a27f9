// Plain objects: containers, numbers, and torch's and numpy's own small values. Private to the value maker.
#pragma once

#include "python/src/value_maker.h"

namespace depickle::python {

struct PlainMakers {
  /// Invalid where `global` is not on the list, or not called as its own pickles call it.
  static nb::object make(ValueMaker& maker, const pickle::Global& global, const pickle::Object& object);
};

}  // namespace depickle::python
