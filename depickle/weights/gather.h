// Copies the elements of a strided view in C order.
#pragma once

#include "depickle/base/bytes.h"
#include "depickle/base/tensor.h"

namespace depickle::weights {

/// Copies the bytes [begin, begin + out.size()) of `tensor` in C order, conjugated, negated and byte-swapped as its
/// flags say. `storage` is its storage; the caller has checked that the strides stay inside. `begin` and `out.size()`
/// are multiples of unit_bytes(dtype) and end inside the tensor.
///
/// O(out.size()) for all strides: transposed layouts are copied in tiles, so each cache line of source and target is
/// used about once. Allocates O(rank) memory. Throws what check_gatherable() throws.
void gather(const Tensor& tensor, Bytes storage, uint64_t begin, MutableBytes out);

/// Throws Error{unsupported} with the tensor's name if its flags have no meaning for its dtype (negation without a sign
/// bit, conjugation of a real dtype) or if it has strides on packed F6 elements or across half a byte of F4.
void check_gatherable(const Tensor& tensor);

/// Returns the largest block, at most `max_bytes`, that ends at a whole row (or plane, …) of `tensor`: gather() is
/// fastest with such blocks. A multiple of unit_bytes(dtype); at least one unit.
uint64_t gather_block_bytes(const Tensor& tensor, uint64_t max_bytes) noexcept;

}  // namespace depickle::weights
