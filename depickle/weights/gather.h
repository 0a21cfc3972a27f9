// The elements of a strided view, one after the other in C order.
#pragma once

#include "depickle/base/bytes.h"
#include "depickle/base/tensor.h"

namespace depickle::weights {

/// Logical bytes [begin, begin + out.size()) of `tensor`, whose storage is `storage`: transposed, expanded, conjugated, negated
/// and byte-swapped as it says. `begin` and `out.size()` are multiples of unit_bytes(dtype) and end inside the tensor, whose
/// strides have been checked against the storage.
///
/// O(out.size()) whatever the strides; transposed layouts run tile by tile, so each cache line of source and target is
/// touched about once. Takes memory for the rank only. Throws as check_gatherable() does.
void gather(const Tensor& tensor, Bytes storage, uint64_t begin, MutableBytes out);

/// Throws Error{unsupported}, naming the tensor, for what has no meaning: a sign on a dtype without one, a conjugate of what is
/// not complex, strides on packed F6 elements or across half a byte of F4.
void check_gatherable(const Tensor& tensor);

/// The most bytes, at most `max_bytes`, that cut `tensor` at whole rows (planes, …): blocks of this size make gather() fastest.
/// A multiple of unit_bytes(dtype); at least one unit.
uint64_t gather_block_bytes(const Tensor& tensor, uint64_t max_bytes) noexcept;

}  // namespace depickle::weights
