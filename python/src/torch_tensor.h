// One tensor of torch over bytes that a Python object holds: what loading does most often.
#pragma once

#include <span>
#include <string_view>

#include "python/src/bind.h"

namespace depickle::python {

/// The bytes at `offset` of `buffer`, a Mapping or a bytearray, as a tensor in C order; it keeps `buffer` alive, copies nothing, is no
/// view, and its storage is exactly its bytes. `dtype` is torch's, called `dtype_name`. By DLPack, which costs a third of
/// torch.frombuffer; the dtypes that not every torch takes so (float8, uint16 …) go through that.
nb::object torch_tensor(
    nb::handle buffer, uint64_t offset, nb::handle dtype, std::string_view dtype_name, std::span<const uint64_t> shape);

}  // namespace depickle::python
