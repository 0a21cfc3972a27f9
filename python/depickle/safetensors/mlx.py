"""`safetensors.mlx`: MLX arrays in safetensors files."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx
import numpy as np

from depickle.safetensors import _files, numpy, safe_open


def save(tensors: Mapping[str, mx.array], metadata: dict[str, str] | None = None) -> bytes:
    """Returns the bytes of a safetensors file with the arrays."""
    return numpy.save(_mx2np(tensors), metadata)


def save_file(
    tensors: Mapping[str, mx.array],
    filename: _files.Target,
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Saves the arrays to a path, atomically, or to an open file.

    The bytes are synced to the disk only with `durable`.
    """
    numpy.save_file(_mx2np(tensors), filename, metadata, durable=durable)


def load(data: _files.Data) -> dict[str, mx.array]:
    """Returns the arrays of a safetensors file in memory (any object with the buffer protocol) or of an open file."""
    return _np2mx(numpy.load(data))


def load_file(filename: _files.Source, *, backend: str | None = None) -> dict[str, mx.array]:
    """Returns the arrays of a file; an open file is read from its position. `backend` is that of `safe_open`."""
    if _files.is_readable(filename):
        return load(filename)
    with safe_open(filename, framework="mlx", backend=backend) as file:
        return file.get_tensors()


def _np2mx(numpy_dict: Mapping[str, np.ndarray]) -> dict[str, mx.array]:
    return {name: mx.array(array) for name, array in numpy_dict.items()}


def _mx2np(mx_dict: Mapping[str, mx.array]) -> dict[str, np.ndarray]:
    return {name: _to_numpy(array) for name, array in mx_dict.items()}


def _to_numpy(array: mx.array) -> np.ndarray:
    """Returns the array for numpy. MLX does not export bfloat16, so its bits are viewed as uint16."""
    if array.dtype != mx.bfloat16:
        return np.asarray(array)
    return np.asarray(array.view(mx.uint16)).view(numpy._getdtype("BF16"))
