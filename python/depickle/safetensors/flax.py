"""jax arrays in safetensors files: `safetensors.flax`."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

from depickle.safetensors import _files, numpy, safe_open


def save(tensors: Mapping[str, Array], metadata: dict[str, str] | None = None) -> bytes:
    """The arrays as the bytes of a safetensors file."""
    return numpy.save(_jnp2np(tensors), metadata)


def save_file(
    tensors: Mapping[str, Array],
    filename: _files.Target,
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Saves the arrays to a path, whose file is replaced in one step, or into an open file.

    The bytes may reach the disk later, unless `durable`.
    """
    numpy.save_file(_jnp2np(tensors), filename, metadata, durable=durable)


def load(data: _files.Data) -> dict[str, Array]:
    """The arrays in the bytes of a safetensors file: whatever has the buffer protocol, or an open file."""
    return _np2jnp(numpy.load(data))


def load_file(filename: _files.Source, *, backend: str | None = None) -> dict[str, Array]:
    """The arrays of a file; of an open file, they are read from its position on. `backend` is that of `safe_open`."""
    if _files.is_readable(filename):
        return load(filename)
    with safe_open(filename, framework="flax", backend=backend) as file:
        return file.get_tensors()


def _np2jnp(numpy_dict: Mapping[str, np.ndarray]) -> dict[str, Array]:
    return {name: jnp.array(array) for name, array in numpy_dict.items()}


def _jnp2np(jnp_dict: Mapping[str, Array]) -> dict[str, np.ndarray]:
    return {name: np.asarray(array) for name, array in jnp_dict.items()}
