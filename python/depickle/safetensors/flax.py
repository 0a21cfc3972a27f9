"""`safetensors.flax`: jax arrays in safetensors files."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

from depickle.safetensors import _files, numpy, safe_open


def save(tensors: Mapping[str, Array], metadata: dict[str, str] | None = None) -> bytes:
    """Returns the bytes of a safetensors file with the arrays."""
    return numpy.save(_jnp2np(tensors), metadata)


def save_file(
    tensors: Mapping[str, Array],
    filename: _files.Target,
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Saves the arrays to a path, atomically, or to an open file.

    The bytes are synced to the disk only with `durable`.
    """
    numpy.save_file(_jnp2np(tensors), filename, metadata, durable=durable)


def load(data: _files.Data) -> dict[str, Array]:
    """Returns the arrays of a safetensors file in memory (any object with the buffer protocol) or of an open file."""
    return _np2jnp(numpy.load(data))


def load_file(filename: _files.Source, *, backend: str | None = None) -> dict[str, Array]:
    """Returns the arrays of a file; an open file is read from its position. `backend` is that of `safe_open`."""
    if _files.is_readable(filename):
        return load(filename)
    with safe_open(filename, framework="flax", backend=backend) as file:
        return file.get_tensors()


def _np2jnp(numpy_dict: Mapping[str, np.ndarray]) -> dict[str, Array]:
    return {name: jnp.array(array) for name, array in numpy_dict.items()}


def _jnp2np(jnp_dict: Mapping[str, Array]) -> dict[str, np.ndarray]:
    return {name: np.asarray(array) for name, array in jnp_dict.items()}
