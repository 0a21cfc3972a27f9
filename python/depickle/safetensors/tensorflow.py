"""TensorFlow's tensors in safetensors files: `safetensors.tensorflow`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from depickle.safetensors import _files, numpy, safe_open


def save(tensors: Mapping[str, tf.Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """The tensors as the bytes of a safetensors file."""
    return numpy.save(_tf2np(tensors), metadata)


def save_file(
    tensors: Mapping[str, tf.Tensor],
    filename: _files.Target,
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Saves the tensors to a path, whose file is replaced in one step, or into an open file.

    The bytes may reach the disk later, unless `durable`.
    """
    numpy.save_file(_tf2np(tensors), filename, metadata, durable=durable)


def load(data: _files.Data) -> dict[str, tf.Tensor]:
    """The tensors in the bytes of a safetensors file: whatever has the buffer protocol, or an open file."""
    return _np2tf(numpy.load(data))


def load_file(filename: _files.Source, *, backend: str | None = None) -> dict[str, tf.Tensor]:
    """The tensors of a file; of an open file, they are read from its position on. `backend` is that of `safe_open`."""
    if _files.is_readable(filename):
        return load(filename)
    with safe_open(filename, framework="tf", backend=backend) as file:
        return file.get_tensors()


def _np2tf(numpy_dict: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.convert_to_tensor(array) for name, array in numpy_dict.items()}


def _tf2np(tf_dict: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {name: np.asarray(tensor.numpy()) for name, tensor in tf_dict.items()}
