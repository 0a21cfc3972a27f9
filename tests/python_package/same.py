"""Compares loaded values with those of torch."""

import collections

import numpy as np
import torch


def bits(tensor):
    """Returns the bytes of a tensor's elements, in C order."""
    tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def assert_same(ours, theirs, seen=None):
    """Asserts that types, values (bit for bit) and shared objects are the same."""
    seen = {} if seen is None else seen
    assert type(ours) is type(theirs)
    if id(theirs) in seen:
        assert ours is seen[id(theirs)]
        return
    if isinstance(theirs, torch.Tensor):
        seen[id(theirs)] = ours
        assert (ours.dtype, ours.shape, ours.stride()) == (theirs.dtype, theirs.shape, theirs.stride())
        assert ours.storage_offset() == theirs.storage_offset()
        assert ours.untyped_storage().nbytes() == theirs.untyped_storage().nbytes()
        assert (ours.requires_grad, ours.device, ours.layout) == (theirs.requires_grad, theirs.device, theirs.layout)
        assert (ours.is_conj(), ours.is_neg()) == (theirs.is_conj(), theirs.is_neg())
        assert ours._is_view() == theirs._is_view()
        assert ours._backward_hooks == theirs._backward_hooks
        assert bits(ours) == bits(theirs)
        assert_same(vars(ours), vars(theirs), seen)
        storage, theirs_storage = ours.untyped_storage().data_ptr(), theirs.untyped_storage().data_ptr()
        if theirs.numel():
            assert seen.setdefault(("storage", theirs_storage), storage) == storage
    elif isinstance(theirs, torch.storage.TypedStorage):
        assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()
    elif isinstance(theirs, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert ours.strides == theirs.strides or ours.size == 0
        assert ours.tobytes() == theirs.tobytes() and ours.flags == theirs.flags
    elif isinstance(theirs, dict):
        seen[id(theirs)] = ours
        assert len(ours) == len(theirs)
        for (our_key, our_value), (key, value) in zip(ours.items(), theirs.items()):
            assert_same(our_key, key, seen)
            assert_same(our_value, value, seen)
        if type(theirs) is not dict:
            assert_same(vars(ours), vars(theirs), seen) if hasattr(theirs, "__dict__") else None
            assert getattr(ours, "default_factory", None) is getattr(theirs, "default_factory", None)
    elif type(theirs) in (list, tuple, torch.Size, collections.deque):
        seen[id(theirs)] = ours
        assert len(ours) == len(theirs)
        for our_item, item in zip(ours, theirs):
            assert_same(our_item, item, seen)
    else:
        assert repr(ours) == repr(theirs) and (ours == theirs or theirs != theirs)
