// nanobind, and the functions that register the parts of the extension module. Every file of the module includes it;
// no other header includes nanobind.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

namespace depickle::python {

namespace nb = nanobind;

// Each function adds one part of the module and is defined in the file of that name.
void bind_errors(nb::module_& module);
void bind_mapping(nb::module_& module);
void bind_safe_open(nb::module_& module);
void bind_serialize(nb::module_& module);
void bind_weights(nb::module_& module);
void bind_torch_load(nb::module_& module);

/// Calls work() without the GIL and returns its result. Exceptions pass through.
template <typename Work>
auto without_gil(Work&& work) {
  nb::gil_scoped_release released;
  return work();
}

}  // namespace depickle::python
