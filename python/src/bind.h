// What every file of the extension module includes: nanobind, and what registers each part. No other header includes nanobind.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

namespace depickle::python {

namespace nb = nanobind;

// Each adds one part of the module, in the file of its name.
void bind_errors(nb::module_& module);
void bind_mapping(nb::module_& module);
void bind_safe_open(nb::module_& module);
void bind_serialize(nb::module_& module);
void bind_weights(nb::module_& module);
void bind_torch_load(nb::module_& module);

/// Runs `work` without the GIL. Errors leave it as they are.
template <typename Work>
auto without_gil(Work&& work) {
  nb::gil_scoped_release released;
  return work();
}

}  // namespace depickle::python
