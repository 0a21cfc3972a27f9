// The extension module `depickle._core`.
#include "python/src/bind.h"

NB_MODULE(_core, module) {
  using namespace depickle::python;
  if (PyInterpreterState_Get() != PyInterpreterState_Main())
    throw nanobind::import_error("depickle does not work in subinterpreters");
  module.attr("__version__") = DEPICKLE_VERSION;
  bind_errors(module);
  bind_mapping(module);
  bind_safe_open(module);
  bind_serialize(module);
  bind_weights(module);
  bind_torch_load(module);
}
