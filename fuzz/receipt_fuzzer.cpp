// Receipts: the parser of untrusted JSON whose values `verify` uses as file names, sizes and digests.
#include "depickle/base/tensor.h"
#include "depickle/convert/receipt.h"
#include "fuzz/fuzz.h"

namespace depickle::fuzz {
namespace {

void run(Bytes bytes) {
  convert::Receipt receipt;
  if (!accepts([&] { receipt = convert::parse_receipt(text(bytes)); })) return;
  for (const convert::Conversion& conversion : receipt.conversions)
    for (const convert::DigestedTensor& tensor : conversion.tensors)
      require(tensor_bytes(tensor.dtype, tensor.shape) == tensor.size_bytes, "a tensor has the size of its shape");
}

}  // namespace
}  // namespace depickle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  depickle::fuzz::run(depickle::fuzz::input(data, size));
  return 0;
}
