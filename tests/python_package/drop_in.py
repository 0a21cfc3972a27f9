"""Helpers for tests that compare depickle.safetensors with `safetensors`."""

import pytest
import safetensors.numpy
import safetensors.torch
import torch

import depickle.safetensors.numpy
import depickle.safetensors.torch

MODULES = {
    "numpy": (depickle.safetensors.numpy, safetensors.numpy),
    "torch": (depickle.safetensors.torch, safetensors.torch),
}
ours, theirs = MODULES["torch"]
ours_np, theirs_np = MODULES["numpy"]

TORCH_DTYPES = [t for t in ours._TYPES.values() if t is not None]


def tensors_of_every_dtype():
    """Returns a torch tensor of each dtype, by dtype name, that contains every byte value."""
    data = torch.arange(256, dtype=torch.uint8)
    return {str(t): data.clone().view(t) if t != torch.bool else (data > 7) for t in TORCH_DTYPES}


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def raised_by(call, *args, **kwargs):
    """Returns the type and the text of the exception that the call raises."""
    with pytest.raises(Exception) as raised:
        call(*args, **kwargs)
    return type(raised.value), str(raised.value)
