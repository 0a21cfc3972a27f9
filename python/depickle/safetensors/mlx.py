"""MLX's arrays in safetensors files: `safetensors.mlx`."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx
import numpy as np

from depickle.safetensors import _files, numpy, safe_open


def save(tensors: Mapping[str, mx.array], metadata: dict[str, str] | None = None) -> bytes:
    """The arrays as the bytes of a safetensors file."""
    return numpy.save(_mx2np(tensors), metadata)


def save_file(
    tensors: Mapping[str, mx.array],
    filename: _files.Target,
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Saves the arrays to a path, whose file is replaced in one step, or into an open file.

    The bytes may reach the disk later, unless `durable`.
    """
    numpy.save_file(_mx2np(tensors), filename, metadata, durable=durable)


def load(data: _files.Data) -> dict[str, mx.array]:
    """The arrays in the bytes of a safetensors file: whatever has the buffer protocol, or an open file."""
    return _np2mx(numpy.load(data))


def load_file(filename: _files.Source, *, backend: str | None = None) -> dict[str, mx.array]:
    """The arrays of a file; of an open file, they are read from its position on. `backend` is that of `safe_open`."""
    if _files.is_readable(filename):
        return load(filename)
    with safe_open(filename, framework="mlx", backend=backend) as file:
        return file.get_tensors()


def _np2mx(numpy_dict: Mapping[str, np.ndarray]) -> dict[str, mx.array]:
    return {name: mx.array(array) for name, array in numpy_dict.items()}


def _mx2np(mx_dict: Mapping[str, mx.array]) -> dict[str, np.ndarray]:
    return {name: _to_numpy(array) for name, array in mx_dict.items()}


def _to_numpy(array: mx.array) -> np.ndarray:
    """As numpy's own types; bfloat16, which MLX does not hand over, by way of its bits."""
    if array.dtype != mx.bfloat16:
        return np.asarray(array)
    return np.asarray(array.view(mx.uint16)).view(numpy._getdtype("BF16"))
