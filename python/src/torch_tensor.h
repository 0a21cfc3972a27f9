// Creates a torch tensor over the memory of a Python object, the most frequent operation of loading.
#pragma once

#include <span>
#include <string_view>

#include "python/src/bind.h"

namespace depickle::python {

/// Returns the bytes at `offset` of `buffer`, a Mapping or a bytearray, as a tensor in C order. The tensor keeps
/// `buffer` alive, is not a view, and its storage has exactly its bytes. `dtype` is torch's dtype with the name
/// `dtype_name`. Uses DLPack, which takes a third of the time of torch.frombuffer; dtypes that not every torch imports
/// from DLPack (float8, uint16 …) use torch.frombuffer.
nb::object torch_tensor(
    nb::handle buffer, uint64_t offset, nb::handle dtype, std::string_view dtype_name, std::span<const uint64_t> shape);

}  // namespace depickle::python
